// The official SDK clients against the emulator: one emulator for all files below, so that the run can count at its end
// which operations, published examples and refusals it went through. Examples are those of the public Azure specifications,
// Microsoft.Compute: ComputeRP 2025-04-01 and DiskRP 2025-01-02, the newest that publish them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allRoutes } from '../../../local/compute/control-plane/all-routes.ts'
import { describeAccess } from './specification/access.ts'
import { describeDisks } from './specification/disks.ts'
import { describeLimitsAndFaults } from './specification/limits-and-faults.ts'
import { describeRefusals } from './specification/refusals.ts'
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
  if (started === undefined) return
  printLedger(started)
  await started.close()
})

describeVirtualMachines(world)
describeDisks(world)
describeSnapshots(world)
describeRestorePoints(world)
describeAccess(world)
describeRefusals(world)
describeLimitsAndFaults(world)

describe('the whole run', () => {
  it('had every operation of the emulator succeed at least once, called by the official SDK', () => {
    const missing = allRoutes.map(({ operation }) => operation).filter((name) => !world().ledger.operations.has(name))
    expect(missing).toEqual([])
  })

  it('left no restore point, snapshot, made disk or live SAS behind', () => {
    const { state } = world().emulator.context
    expect(state.list('restorePoints', '/')).toEqual([])
    expect(state.list('diskRestorePoints', '/')).toEqual([])
    expect(state.list('snapshots', '/')).toEqual([])
    expect(state.list('disks', '/').filter(({ managedBy }) => managedBy === undefined)).toEqual([])
  })
})

const printLedger = ({ ledger }: World): void => {
  const lines = [
    `operations covered: ${ledger.operations.size} of ${allRoutes.length}`,
    ...allRoutes.map(
      ({ operation }) => `  ${operation.padEnd(42)} ${ledger.operations.get(operation) ?? 0} successful calls`,
    ),
    `published examples followed: ${ledger.examples.size}`,
    ...[...ledger.examples].sort().map((example) => `  ${example}`),
    `refusals tested: ${ledger.refusals.length}`,
    ...ledger.refusals.map((what) => `  ${what}`),
  ]
  console.log(lines.join('\n'))
}
