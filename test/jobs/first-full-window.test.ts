import { describe, expect, it } from 'vitest'
import type { WindowFor } from '../../shared/domain/job.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { endedJobName } from '../../shared/jobs/control-names.ts'
import { jobStatus } from '../../shared/jobs/job-status.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { resumeJob } from '../../shared/jobs/resume-job.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { requestStop } from '../../shared/jobs/stop.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleVm } from './world.ts'

/** A backup whose window is far shorter than its transfer takes. */
const backUp = async (world: FakeWorld, at: string, windowFor: WindowFor = 'increments') => {
  const job = backupJobOf(
    sampleVm(),
    { ...defaultChoices, windowHours: 0.001 },
    { trigger: 'onDemand', policy: null, at: new Date(at), cause: at, now: new Date(at), windowHours: 24, windowFor },
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

  it('ends a whole transfer too where the request named it', async () => {
    const world = fakeWorld()
    world.platform.disks.get('os')!.fill('x')
    const { run, job, running } = await backUp(world, '2026-01-01T01:00:00.000Z', 'everything')
    expect(run.calls).toContain('stopTransfers')
    expect(await jobStatus(running, job.jobId)).toMatchObject({ windowFor: 'everything' })
  })

  it('begins anew for a job that goes on', async () => {
    const world = fakeWorld()
    await backUp(world, '2026-01-01T01:00:00.000Z')
    const instances = fakeInstances()
    const job = backupJobOf(sampleVm(), defaultChoices, {
      trigger: 'onDemand',
      policy: null,
      at: world.clock.now(),
      cause: 'second',
      now: world.clock.now(),
      windowHours: 2,
    })
    await startJob({ ...world, instances }, job)
    await runJob(world, instances.started[0]!, async (activity) => {
      if (activity === 'planDisk') await requestStop(world.control, job, 'cancelled')
    })
    world.clock.advance(10 * 3_600_000)
    expect(await resumeJob({ ...world, instances }, job.jobId)).toMatchObject({ kind: 'resumed' })
    const claim = instances.started[1]!
    if (claim.job.kind !== 'backup') throw new Error('a backup goes on as a backup')
    expect(await planVmBackup(world, { job: claim.job, token: claim.token })).toMatchObject({
      deadline: new Date(world.clock.now().getTime() + 2 * 3_600_000).toISOString(),
    })
  })

  it('is shown as none while it does not count', async () => {
    const world = fakeWorld()
    const { job, running } = await backUp(world, '2026-01-01T01:00:00.000Z')
    await world.control.remove(endedJobName(job.jobId))
    await startJob({ ...running, instances: fakeInstances() }, job)
    expect(await jobStatus(running, job.jobId)).toMatchObject({
      state: 'running',
      deadline: null,
      windowFor: 'increments',
    })
  })
})
