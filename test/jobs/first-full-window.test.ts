import { describe, expect, it } from 'vitest'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { jobStatus } from '../../shared/jobs/job-status.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleVm } from './world.ts'

/** A backup whose window is far shorter than its transfer takes. */
const backUp = async (world: FakeWorld, at: string) => {
  const job = backupJobOf(
    sampleVm(),
    { ...defaultChoices, windowHours: 0.001 },
    { trigger: 'onDemand', policy: null, at: new Date(at), cause: at, now: new Date(at), windowHours: 24 },
  )
  const instances = fakeInstances()
  await startJob({ ...world, instances }, job)
  const run = await runJob(world, instances.started[0]!)
  const customStatus = run.instances.at(-1)!.state.customStatus
  return { job, run, running: { ...world, instances: { ...instances, status: async () => running(customStatus) } } }
}
const running = (customStatus: unknown) => ({ state: 'running' as const, runtimeStatus: 'Running', customStatus })

describe('the window of a backup', () => {
  it('ends an increment, and not a transfer of a whole disk, which no later run could end sooner', async () => {
    const world = fakeWorld()
    world.platform.disks.get('os')!.fill('x')
    const first = await backUp(world, '2026-01-01T01:00:00.000Z')
    expect(first.run.outcome).toMatchObject({ kind: 'completed' })
    expect(first.run.calls).not.toContain('stopTransfers')

    const second = await backUp(world, '2026-01-01T01:30:00.000Z')
    expect(second.run.calls).toContain('stopTransfers')
  })

  it('is shown as none while it does not count', async () => {
    const world = fakeWorld()
    const { job, running } = await backUp(world, '2026-01-01T01:00:00.000Z')
    await world.control.remove(`jobs/${job.jobId}`)
    await startJob({ ...running, instances: fakeInstances() }, job)
    expect(await jobStatus(running, job.jobId)).toMatchObject({ state: 'running', deadline: null })
  })
})
