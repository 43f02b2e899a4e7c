import { beforeEach, describe, expect, it } from 'vitest'
import { compareJobIdOf, restoreJobIdOf } from '../../shared/domain/ids.ts'
import type { BackupJob, CompareJob, Job, JobOutcome, JobRecord, RestoreJob } from '../../shared/domain/job.ts'
import { claimName, endedJobName, olderJobName, unfinishedName } from '../../shared/jobs/control-names.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { collectJobs } from '../../shared/jobs/maintenance/collect-jobs.ts'
import { collectVault } from '../../shared/jobs/maintenance/collect-vault.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

const { vmKey } = sampleVm()
const dayMs = 24 * 3_600_000
const began = new Date('2026-03-10T02:00:00.000Z')
const asked = { jobDays: 400, recordsMax: 1000 }

let world: FakeWorld
beforeEach(() => {
  world = fakeWorld()
})

const restore: RestoreJob = {
  kind: 'restore',
  jobId: restoreJobIdOf(began, vmKey, 'one'),
  vmKey,
  recoveryPointId: '20260301t020000z-0123456789',
  disks: [],
  location: 'westeurope',
  requestedAt: began.toISOString(),
}
const { location: _, ...rest } = restore
const comparison: CompareJob = {
  ...rest,
  kind: 'comparison',
  jobId: compareJobIdOf(began, vmKey, 'one'),
  disks: ['os'],
  oneIn: 1,
  deadline: began.toISOString(),
}
const cancelled: JobOutcome = { kind: 'cancelled', reason: 'cancelled', hint: 'none', disks: [] }

/** Writes a record as if the job had ended that many days after it began; null: it has not. */
const record = async (job: Job, endedAfterDays: number | null, name = endedJobName(job.jobId)): Promise<string> => {
  const endedAt = endedAfterDays === null ? null : new Date(began.getTime() + endedAfterDays * dayMs).toISOString()
  const outcome = endedAt === null ? null : cancelled
  const ended: JobRecord = { job, startedAt: began.toISOString(), attempts: 1, endedAt, outcome }
  await world.control.put(name, encodeJson(ended))
  return name
}
const has = (name: string): boolean => world.control.objects.has(name)
const backUp = async (): Promise<BackupJob> => {
  const instances = fakeInstances()
  const job = sampleJob('day 0', began.toISOString())
  await startJob({ ...world, instances }, job)
  expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
  return job
}

describe('the records of jobs', () => {
  it('go when the jobs ended as many days ago as are kept, of whatever kind they are', async () => {
    const names = [await record(sampleJob(), 1), await record(restore, 1), await record(comparison, 1)]
    world.clock.advance(400 * dayMs)
    expect(await collectJobs(world, asked)).toEqual({ removed: 0, unreadable: [] })
    world.clock.advance(2 * dayMs)
    expect(await collectJobs(world, { ...asked, jobDays: 402 })).toMatchObject({ removed: 0 })
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 3 })
    expect(names.filter(has)).toEqual([])
  })

  it('stay where the job began long ago and ended lately, or has not ended', async () => {
    const names = [await record(restore, 300), await record(comparison, null)]
    world.clock.advance(500 * dayMs)
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 0 })
    expect(names.every(has)).toBe(true)
  })

  it('stay as long as the recovery point that the job made can be restored, or its record is damaged: its retention goes by the job', async () => {
    const job = await backUp()
    world.clock.advance(1000 * dayMs)
    await collectVault(world, { passId: 'pass-1', cursor: null })
    expect(has(endedJobName(job.jobId))).toBe(true)
    const { bytes } = world.vault.objects.get(`recovery-points/${vmKey}/${job.recoveryPointId}/0001.json`)!
    bytes[200]! ^= 1
    await collectVault(world, { passId: 'damaged', cursor: null })
    bytes[200]! ^= 1
    expect(has(endedJobName(job.jobId))).toBe(true)
    await expireRecoveryPoint(world.vault, { ...job, revision: 1 })
    for (const passId of ['pass-2', 'pass-3']) await collectVault(world, { passId, cursor: null })
    expect(has(endedJobName(job.jobId))).toBe(false)
  })

  it('stay while a backup can go on, or goes on', async () => {
    const job = sampleJob()
    const name = await record(job, 1)
    world.clock.advance(500 * dayMs)
    const { jobId, recoveryPointId } = job
    await world.control.put(unfinishedName(vmKey), encodeJson({ jobId, recoveryPointId }))
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 0 })
    await world.control.remove(unfinishedName(vmKey))
    await world.control.put(claimName(job), encodeJson({ job, attempt: 2, token: 't', takenAt: began.toISOString() }))
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 0 })
    await world.control.remove(claimName(job))
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 1 })
    expect(has(name)).toBe(false)
  })

  it('stay where the record changes while it is looked at', async () => {
    const name = await record(restore, 1)
    world.clock.advance(500 * dayMs)
    world.control.pause = async ({ operation }) => {
      if (operation !== 'remove') return
      world.control.pause = async () => undefined
      await record(restore, null)
    }
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 0 })
    expect(has(name)).toBe(true)
  })

  it('go bit by bit, as many as one call may look at', async () => {
    for (let number = 0; number < 5; number += 1)
      await record({ ...restore, jobId: restoreJobIdOf(began, vmKey, `${number}`) }, 1)
    world.clock.advance(500 * dayMs)
    for (const removed of [2, 2, 1, 0])
      expect(await collectJobs(world, { ...asked, recordsMax: 2 })).toMatchObject({ removed })
  })

  it('of version 0.1 go as the others do, and its list of them at once', async () => {
    const old = await record(restore, 1, olderJobName(restore.jobId))
    const running = await record(comparison, null, olderJobName(comparison.jobId))
    const listed = `recent-jobs/8638226512800000-${restore.jobId}`
    await world.control.put(listed, encodeJson({ jobId: restore.jobId }))
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 1 })
    expect([old, running, listed].map(has)).toEqual([true, true, false])
    world.clock.advance(500 * dayMs)
    expect(await collectJobs(world, asked)).toMatchObject({ removed: 1 })
    expect([old, running].map(has)).toEqual([false, true])
  })

  it('stay where they are no JSON, which the pass tells; the others go', async () => {
    const name = endedJobName(comparison.jobId)
    await world.control.put(name, Buffer.from('{'))
    await record(restore, 1)
    world.clock.advance(500 * dayMs)
    expect(await collectVault({ ...world, jobDays: 30 }, { passId: 'pass-1', cursor: null })).toMatchObject({
      counts: { removed: 1 },
      problems: [{ reason: 'unreadable-job-record', message: expect.stringContaining(name) }],
    })
    expect(has(name)).toBe(true)
  })
})
