import { describe, expect, it } from 'vitest'
import type { JobOutcome } from '../../shared/domain/job.ts'
import { refOf } from '../../shared/domain/job-ref.ts'
import { isCurrent, readClaim, releaseClaim, renewClaim, takeClaim } from '../../shared/jobs/claim.ts'
import { finishJob } from '../../shared/jobs/finish-job.ts'
import { readJobRecord, recentJobs, recordOutcome } from '../../shared/jobs/job-records.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { fakeInstances, fakeWorld, sampleJob } from './world.ts'

const now = new Date('2026-03-10T02:00:00Z')
const failure: JobOutcome = { kind: 'failed', reason: 'r', message: 'm', hint: 'h', disks: [] }

describe('a claim', () => {
  it('is taken by one of two callers at once; the other is told who holds it', async () => {
    const { control } = fakeWorld()
    const answers = await Promise.all([
      takeClaim(control, sampleJob('a'), 'token-a', now),
      takeClaim(control, sampleJob('b'), 'token-b', now),
    ])
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['busy', 'taken'])
    expect(answers[0]!.claim).toEqual(answers[1]!.claim)
  })

  it('is ours when the answer of our own create was lost', async () => {
    const { control } = fakeWorld()
    control.fault = ({ operation }) => (operation === 'create' ? 'lostAnswer' : null)
    expect((await takeClaim(control, sampleJob(), 'token-a', now)).kind).toBe('taken')
  })

  it('gives the next attempt to one supervisor only', async () => {
    const { control } = fakeWorld()
    await takeClaim(control, sampleJob(), 'token-1', now)
    const held = (await readClaim(control, sampleJob()))!
    const answers = await Promise.all([
      renewClaim(control, held, 'token-2', now),
      renewClaim(control, held, 'token-3', now),
    ])
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['changed', 'renewed'])
    expect((await readClaim(control, sampleJob()))!.claim.attempt).toBe(2)
    expect(await isCurrent(control, refOf({ job: sampleJob(), token: 'token-1' }))).toBe(false)
  })

  it('is not released by somebody who read it before it changed', async () => {
    const { control } = fakeWorld()
    await takeClaim(control, sampleJob(), 'token-1', now)
    const held = (await readClaim(control, sampleJob()))!
    await renewClaim(control, held, 'token-2', now)
    expect(await releaseClaim(control, held)).toBe('changed')
    expect(await releaseClaim(control, (await readClaim(control, sampleJob()))!)).toBe('removed')
  })
})

describe('the start of a job', () => {
  it('runs one of two jobs of a VM that are started at once, and tells the other which', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const answers = await Promise.all(
      ['a', 'b'].map((cause) => startJob({ ...world, control: world.control.reopen(), instances }, sampleJob(cause))),
    )
    const started = answers.find(({ kind }) => kind === 'started')
    expect(answers.find(({ kind }) => kind === 'busy')).toMatchObject({
      running: { job: { jobId: (started as { jobId: string }).jobId } },
    })
    expect(instances.started).toHaveLength(1)
  })

  it('starts the same job once, however often and at once it is asked for', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const start = () => startJob({ ...world, control: world.control.reopen(), instances }, sampleJob())
    const answers = [...(await Promise.all([start(), start(), start()])), await start()]
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['already', 'already', 'already', 'started'])
    expect(instances.started).toHaveLength(1)
  })

  it('does not start a restore again that has ended, and lets go of the claim', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const { vmKey, recoveryPointId, requestedAt } = sampleJob()
    const common = { vmKey, recoveryPointId, requestedAt, location: 'westeurope', disks: [] }
    const restore = { kind: 'restore' as const, jobId: 'restore-a', ...common }
    await startJob({ ...world, instances }, restore)
    await finishJob(world, { ...refOf(instances.started[0]!), outcome: failure })
    expect(await startJob({ ...world, instances }, restore)).toEqual({ kind: 'already', jobId: restore.jobId })
    expect(instances.started).toHaveLength(1)
    expect(await readClaim(world.control, restore)).toBeNull()
  })
})

describe('the end of a job', () => {
  it('keeps its first outcome', async () => {
    const { control } = fakeWorld()
    await recordOutcome(control, { job: sampleJob(), attempts: 1, outcome: failure, now })
    await recordOutcome(control, { job: sampleJob(), attempts: 2, outcome: { ...failure, reason: 'other' }, now })
    expect(await readJobRecord(control, sampleJob().jobId)).toMatchObject({ attempts: 1, outcome: { reason: 'r' } })
  })

  it('changes nothing for an attempt that was overtaken', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    await startJob({ ...world, instances }, sampleJob())
    const held = (await readClaim(world.control, sampleJob()))!
    await renewClaim(world.control, held, 'token-of-attempt-2', now)
    expect(await finishJob(world, { ...refOf(held.claim), outcome: failure })).toEqual({ kind: 'superseded' })
    expect(await readJobRecord(world.control, sampleJob().jobId)).toMatchObject({ outcome: null })
    expect(await readClaim(world.control, sampleJob())).not.toBeNull()
  })
})

describe('the record of a job', () => {
  it('is told from its claim while it runs, and from the record once it has ended', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const job = sampleJob()
    expect(await readJobRecord(world.control, job.jobId)).toBeNull()
    await startJob({ ...world, instances }, job)
    const startedAt = world.clock.now().toISOString()
    world.clock.advance(60_000)
    await renewClaim(world.control, (await readClaim(world.control, job))!, 'token-2', world.clock.now())
    const running = { job, startedAt, attempts: 2, endedAt: null, outcome: null }
    expect(await readJobRecord(world.control, job.jobId)).toEqual(running)
    await finishJob(world, { ...refOf({ job, token: 'token-2' }), outcome: failure })
    const endedAt = world.clock.now().toISOString()
    expect(await readJobRecord(world.control, job.jobId)).toEqual({ ...running, endedAt, outcome: failure })
  })

  it('is found where the job ends between the looks at record and claim', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    await startJob({ ...world, instances }, sampleJob())
    const other = world.control.reopen()
    world.control.pause = async ({ operation, name }) => {
      if (operation !== 'read' || !name.startsWith('claims/')) return
      world.control.pause = async () => undefined
      await finishJob({ ...world, control: other }, { ...refOf(instances.started[0]!), outcome: failure })
    }
    expect(await readJobRecord(world.control, sampleJob().jobId)).toMatchObject({ outcome: failure })
  })

  it('of an earlier version is found by the id of its job, and keeps that from being started again', async () => {
    const world = fakeWorld()
    const job = sampleJob()
    const older = { job, startedAt: 'then', attempts: 1, endedAt: 'then', outcome: failure }
    await world.control.put(`jobs/${job.jobId}`, encodeJson(older))
    expect(await readJobRecord(world.control, job.jobId)).toEqual(older)
  })

  it('of a job that an earlier version started is ended under its present name', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const job = sampleJob()
    const { startedAt: _, ...older } = (await takeClaim(world.control, job, 'token-1', now)).claim
    await world.control.put(`claims/${job.vmKey}`, encodeJson(older))
    const record = { job, startedAt: 'then', attempts: 1, endedAt: null, outcome: null }
    await world.control.put(`jobs/${job.jobId}`, encodeJson(record))
    expect(await readJobRecord(world.control, job.jobId)).toEqual(record)
    await finishJob(world, { ...refOf({ job, token: 'token-1' }), outcome: failure })
    expect(await readJobRecord(world.control, job.jobId)).toMatchObject({ outcome: failure })
    expect(await supervise({ ...world, instances, attemptsMax: 3 })).toEqual([])
  })

  it('of an earlier version that has its outcome lets the supervisor end the claim', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const job = sampleJob()
    const { startedAt: _, ...older } = (await takeClaim(world.control, job, 'token-1', now)).claim
    await world.control.put(`claims/${job.vmKey}`, encodeJson(older))
    const record = { job, startedAt: 'then', attempts: 1, endedAt: 'then', outcome: failure }
    await world.control.put(`jobs/${job.jobId}`, encodeJson(record))
    expect(await supervise({ ...world, instances, attemptsMax: 3 })).toMatchObject([{ kind: 'released' }])
    expect(await readClaim(world.control, job)).toBeNull()
  })
})

describe('the recent jobs', () => {
  it('show one that runs among those that have ended', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    const [first, second] = ['2026-03-10T02:00:00Z', '2026-03-12T02:00:00Z'].map((at) => sampleJob('c', at))
    await recordOutcome(world.control, { job: first!, attempts: 1, outcome: failure, now })
    await startJob({ ...world, instances }, second!)
    expect(await recentJobs(world.control, 5)).toMatchObject([
      { job: { jobId: second!.jobId }, outcome: null },
      { job: { jobId: first!.jobId }, outcome: failure },
    ])
  })

  it('come newest first and as many as asked for', async () => {
    const world = fakeWorld()
    const jobs = ['2026-03-10T02:00:00Z', '2026-03-12T02:00:00Z', '2026-03-11T02:00:00Z'].map((at) =>
      sampleJob('c', at),
    )
    for (const job of jobs) await recordOutcome(world.control, { job, attempts: 1, outcome: failure, now })
    const newest = (await recentJobs(world.control, 2)).map(({ job }) => job.requestedAt.slice(0, 10))
    expect(newest).toEqual(['2026-03-12', '2026-03-11'])
  })
})
