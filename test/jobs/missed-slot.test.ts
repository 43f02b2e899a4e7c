import { describe, expect, it } from 'vitest'
import { isId } from '../../shared/domain/ids.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleVm } from './world.ts'

const slot = new Date('2026-03-10T02:00:00Z')

/** The job of the slot, as a sweep at that time makes it. */
const slotJob = (now: string, policy = 'daily') =>
  backupJobOf(sampleVm(), defaultChoices, {
    trigger: 'schedule',
    policy,
    at: slot,
    cause: policy,
    now: new Date(now),
    windowHours: 24,
  })
const onDemandJob = (now: string) =>
  backupJobOf(sampleVm(), defaultChoices, {
    trigger: 'onDemand',
    policy: null,
    at: new Date(now),
    cause: now,
    now: new Date(now),
    windowHours: 24,
  })
const run = async (world: FakeWorld, job: ReturnType<typeof slotJob>) => {
  const instances = fakeInstances()
  await startJob({ ...world, instances }, job)
  return (await runJob(world, instances.started[0]!)).outcome
}
const latest = async (world: FakeWorld) => (await latestRecoveryPoint(world.vault, sampleVm().vmKey))!.recoveryPoint

describe('a slot that is caught up late', () => {
  it('makes the newest recovery point, and the next backup is compared with it', async () => {
    const world = fakeWorld()
    world.platform.disks.get('os')!.fill('a', 0, 4096)
    await run(world, onDemandJob('2026-03-10T08:00:00Z'))
    world.platform.disks.get('os')!.fill('b', 4096, 8192)
    const late = slotJob('2026-03-10T08:05:00Z')
    expect(await run(world, late)).toMatchObject({ kind: 'completed' })
    expect(await latest(world)).toMatchObject({ jobId: late.jobId, disks: [{ transfer: 'incremental' }, {}] })

    world.platform.disks.get('os')!.fill('c', 8192, 12_288)
    expect(await run(world, onDemandJob('2026-03-10T09:00:00Z'))).toMatchObject({
      summary: { disks: [{ transfer: 'incremental', changedBytes: 4096 }, {}] },
    })
    expect(await latest(world)).toMatchObject({ previous: { recoveryPointId: late.recoveryPointId } })
  })

  it('keeps the order of policies that share a slot', async () => {
    const world = fakeWorld()
    for (const [hour, policy] of ['a', 'b', 'c', 'd', 'e', 'f'].entries()) {
      const job = slotJob(`2026-03-10T0${2 + hour}:00:00Z`, policy)
      await run(world, job)
      expect((await latest(world)).recoveryPointId).toBe(job.recoveryPointId)
    }
  })

  it('starts once, and keeps the recovery point of the start that won', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const deps = { ...world, instances, attemptsMax: 3 }
    const [first, second] = [slotJob('2026-03-10T08:05:00Z'), slotJob('2026-03-10T08:10:00Z')]
    expect(second.jobId).toBe(first.jobId)
    expect(second.recoveryPointId > first.recoveryPointId).toBe(true)
    expect(isId(first.jobId) && isId(first.recoveryPointId)).toBe(true)
    const starts = await Promise.all([startJob(deps, first), startJob(deps, second)])
    expect(starts.map(({ kind }) => kind).sort()).toEqual(['already', 'started'])
    const won = instances.started[0]!.job.recoveryPointId
    instances.statuses.set(`${first.jobId}.1`, { state: 'ended', runtimeStatus: 'Failed', customStatus: null })
    await supervise(deps)
    expect(instances.started.map(({ job }) => job.recoveryPointId)).toEqual([won, won])
    expect((await runJob(world, instances.started[1]!)).outcome).toMatchObject({ recoveryPointId: won })
  })
})
