import { describe, expect, it } from 'vitest'
import { startJob } from '../../shared/jobs/start-job.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

/** A process that has just started, with one disk to back up. */
const freshProcess = (world: FakeWorld): FakeWorld => ({
  ...world,
  vault: world.vault.reopen(),
  control: world.control.reopen(),
})

const backUp = async (world: FakeWorld, day: number) => {
  const instances = fakeInstances()
  await startJob({ ...world, instances }, sampleJob(`day ${day}`, `2026-03-${10 + day}T02:00:00.000Z`))
  return runJob(world, instances.started[0]!)
}

/** Calls of both containers by what they are about, from the start of the job on; ids of recovery points, jobs and VMs left out. */
const callsOf = ({ vault, control }: FakeWorld): readonly string[] =>
  Object.entries({ control, vault }).flatMap(([container, store]) =>
    store.calls.map(({ operation, name }) => `${container} ${operation} ${name.split('/')[0]}`),
  )

describe('the storage calls of a backup', () => {
  it('of a disk that did not change', async () => {
    const world = fakeWorld()
    world.platform.vms = [{ ...sampleVm(), disks: sampleVm().disks.slice(0, 1) }]
    world.platform.disks.get('os')!.fill('x', 0, 4096)
    await backUp(freshProcess(world), 0)
    const process = freshProcess(world)
    const { outcome } = await backUp(process, 1)
    expect(outcome).toMatchObject({
      kind: 'completed',
      summary: { disks: [{ transfer: 'incremental', changedBytes: 0 }] },
    })
    expect(callsOf(process)).toHaveLength(33)
  })
})
