// The official SDK clients against the emulator: one emulator for all files below, so that the run can count at its end
// which operations, published examples and refusals it went through.
import { afterAll, beforeAll } from 'vitest'
import { describeDisks } from './specification/disks.ts'
import { describeRestorePoints } from './specification/restore-points.ts'
import { describeSnapshots } from './specification/snapshots.ts'
import { describeVirtualMachines } from './specification/virtual-machines.ts'
import { startWorld, type World } from './support.ts'

let started: World | undefined
const world = (): World => {
  if (started === undefined) throw new Error('the emulator is not up')
  return started
}

beforeAll(async () => {
  started = await startWorld()
})

afterAll(async () => {
  await started?.close()
})

describeVirtualMachines(world)
describeDisks(world)
describeSnapshots(world)
describeRestorePoints(world)
