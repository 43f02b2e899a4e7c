import { describe, expect, it } from 'vitest'
import type { Claim, StopReason } from '../../shared/domain/job.ts'
import { cancelJob } from '../../shared/jobs/cancel-job.ts'
import { readClaim, takeClaim } from '../../shared/jobs/claim.ts'
import { readJobRecord } from '../../shared/jobs/job-records.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { resumeJob } from '../../shared/jobs/resume-job.ts'
import { startDueBackups } from '../../shared/jobs/start-due-backups.ts'
import { requestStop } from '../../shared/jobs/stop.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { readUnfinished } from '../../shared/jobs/unfinished.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import type { MemoryBlobStore } from '../support/memory-blob-store.ts'
import { runJob } from './run-job.ts'
import { fakeInstances, fakeWorld, sampleVm } from './world.ts'

const hour = 3_600_000
const { vmKey } = sampleVm()
const daily = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
}

/** A VM under a daily policy, with four slices of its OS disk to move. */
const app = async () => {
  const world = fakeWorld()
  const instances = fakeInstances()
  const deps = { ...world, instances, subscriptionIds: ['s'], windowHours: 24, attemptsMax: 3 }
  await world.control.put('policies/daily.json', encodeJson(daily))
  world.platform.disks.get('os')!.fill('x')
  const sweep = async () => {
    await supervise(deps)
    return (await startDueBackups(deps))[0]!
  }
  const last = (): Claim => instances.started.at(-1)!
  const ended = (claim: Claim) => {
    const id = `${claim.job.jobId}.${claim.attempt}`
    instances.statuses.set(id, { state: 'ended', runtimeStatus: 'Completed', customStatus: null })
  }
  const run = async () => {
    const claim = last()
    const done = await runJob(world, claim)
    ended(claim)
    return done
  }
  /** Runs the last started job until two of its slices are in the vault, and stops it there. */
  const runToSecondSlice = async (reason: StopReason) => {
    const claim = last()
    let slices = 0
    const done = await runJob(world, claim, async (activity) => {
      if (activity === 'transferSlice' && ++slices === 3) await requestStop(world.control, claim.job, reason)
    })
    ended(claim)
    expect(done.outcome).toMatchObject({ kind: reason })
  }
  /** Lets the last started job fail at its first slice. */
  const fail = async () => {
    world.platform.answers.set('grantRead', [{ kind: 'failed', reason: 'r', message: 'm', hint: 'h' }])
    expect((await run()).outcome).toMatchObject({ kind: 'failed' })
  }
  const recoveryPoint = async (recoveryPointId: string) =>
    (await readRecoveryPoint(world.vault, { vmKey, recoveryPointId }))?.recoveryPoint
  return { world, instances, deps, sweep, last, run, runToSecondSlice, recoveryPoint, fail }
}

const names = (store: MemoryBlobStore, prefix: string): readonly string[] =>
  [...store.objects.keys()].filter((name) => name.startsWith(prefix))

/** An app whose job of the first slot missed its window a day ago. */
const missed = async (reason: StopReason = 'missedWindow') => {
  const made = await app()
  await made.sweep()
  const job = made.last().job
  if (job.kind !== 'backup') throw new Error('a sweep starts backups')
  await made.runToSecondSlice(reason)
  made.world.clock.advance(24 * hour)
  return { ...made, job }
}

describe('a job that missed its window', () => {
  it('goes on with the next slot, whose own job is then an increment of it', async () => {
    const { sweep, job, last, run, recoveryPoint, world, instances } = await missed()
    expect(await sweep()).toMatchObject({ resumed: [{ jobId: job.jobId, attempt: 2 }], started: [] })
    expect(last()).toMatchObject({ attempt: 2, job: { ...job, deadline: '2026-03-12T02:00:00.000Z' } })
    world.platform.disks.get('os')!.fill('y', 0, 4096)
    expect((await run()).outcome).toMatchObject({ kind: 'completed', recoveryPointId: job.recoveryPointId })
    expect(world.platform.restorePointsMade).toBe(1)

    expect(await sweep()).toMatchObject({ resumed: [], started: [{ vmKey }] })
    expect((await run()).outcome).toMatchObject({ kind: 'completed' })
    expect(await recoveryPoint(last().job.recoveryPointId)).toMatchObject({
      baseRecoveryPointId: job.recoveryPointId,
      disks: [{ transfer: 'incremental', changedBytes: 4096 }, {}],
    })
    expect(await sweep()).toMatchObject({ resumed: [], started: [], already: 1 })
    expect(instances.started).toHaveLength(3)
    expect(names(world.control, 'intents/')).toEqual([])
    expect(await readUnfinished(world.control, vmKey)).toBeNull()
  })

  it('moves no slice again that is in the vault', async () => {
    const { sweep, run, world } = await missed()
    const before = names(world.vault, 'slices/')
    expect(before).toHaveLength(2)
    const callsBefore = world.vault.calls.length
    await sweep()
    expect((await run()).outcome).toMatchObject({ kind: 'completed' })
    const written = world.vault.calls.slice(callsBefore).filter(({ operation }) => operation.startsWith('create'))
    const slices = written.map(({ name }) => name).filter((name) => name.startsWith('slices/'))
    expect(slices).toHaveLength(2)
    expect(slices.filter((name) => before.includes(name))).toEqual([])
    expect(names(world.vault, 'slices/')).toHaveLength(4)
  })

  it('is resumed once for a slot: where it fails again, the slot’s own job starts', async () => {
    const { sweep, job, last, fail, run, world, instances } = await missed()
    await sweep()
    await fail()
    expect(await sweep()).toMatchObject({ resumed: [], started: [{ vmKey }] })
    expect(last().job.jobId).not.toBe(job.jobId)
    expect((await run()).outcome).toMatchObject({ kind: 'completed' })
    await sweep()
    expect(instances.started).toHaveLength(3)
    expect(names(world.control, 'intents/')).toEqual([])
  })

  it('does not keep the slot’s job from starting where it cannot be looked at', async () => {
    const { sweep, deps, job, last } = await missed()
    deps.access.exists = async () => {
      throw new Error('no answer')
    }
    expect(await sweep()).toMatchObject({ started: [{ vmKey }], faults: [expect.stringMatching(/resumed.*no answer/)] })
    expect(last().job.jobId).not.toBe(job.jobId)
  })

  it('is given up where its copies are gone', async () => {
    const { sweep, world, job, deps } = await missed()
    world.platform.copies.clear()
    expect(await sweep()).toMatchObject({ resumed: [], started: [{ vmKey }] })
    expect(names(world.control, 'intents/')).toEqual([])
    expect(await resumeJob(deps, job.jobId)).toMatchObject({ kind: 'impossible' })
  })
})

describe('a cancelled job', () => {
  it('goes on when somebody asks, not with the next slot', async () => {
    const { deps, job, run, world } = await missed('cancelled')
    expect(await resumeJob(deps, job.jobId)).toMatchObject({ kind: 'resumed', attempt: 2 })
    expect(await readJobRecord(world.control, job.jobId)).toMatchObject({ outcome: null, endedAt: null, attempts: 2 })
    expect(await resumeJob(deps, job.jobId)).toEqual({ kind: 'running' })
    expect((await run()).outcome).toMatchObject({ kind: 'completed' })
    expect(await resumeJob(deps, job.jobId)).toMatchObject({ kind: 'impossible' })
    const other = await missed('cancelled')
    expect(await other.sweep()).toMatchObject({ resumed: [], started: [{ vmKey }] })
  })

  it('can be cancelled again after it was resumed', async () => {
    const { deps, job, run } = await missed('cancelled')
    await resumeJob(deps, job.jobId)
    expect(await cancelJob(deps, job.jobId)).toEqual({ kind: 'asked' })
    expect((await run()).outcome).toMatchObject({ kind: 'cancelled' })
    expect(await resumeJob(deps, job.jobId)).toMatchObject({ kind: 'resumed', attempt: 3 })
  })

  it('does not go on while another job holds the VM, nor after that one has taken its place', async () => {
    const { sweep, deps, job, last, run } = await missed('cancelled')
    await sweep()
    expect(await resumeJob(deps, job.jobId)).toMatchObject({ kind: 'busy', running: { job: last().job } })
    await run()
    expect(await resumeJob(deps, job.jobId)).toMatchObject({ kind: 'impossible' })
  })
})

describe('a resumption', () => {
  it('is completed by the supervisor where its caller died after the claim', async () => {
    const { world, deps, job, run, last } = await missed('cancelled')
    const resumed = { attempt: 2, slotJobId: 'slot' }
    await takeClaim(world.control, job, 'token-x', world.clock.now(), resumed)
    expect(await supervise(deps)).toEqual([{ kind: 'started', jobId: job.jobId, attempt: 2 }])
    expect(last()).toMatchObject({ token: 'token-x', attempt: 2 })
    expect(await readJobRecord(world.control, job.jobId)).toMatchObject({ outcome: null, resumedFor: ['slot'] })
    expect((await run()).outcome).toMatchObject({ kind: 'completed' })
    expect(await supervise(deps)).toEqual([])
  })

  it('of a job whose place was taken ends without a trace', async () => {
    const { world, deps, job, instances } = await missed('cancelled')
    await world.control.put(`unfinished/${vmKey}`, encodeJson({ jobId: 'other', recoveryPointId: 'other' }))
    await takeClaim(world.control, job, 'token-x', world.clock.now(), { attempt: 2, slotJobId: null })
    expect(await supervise(deps)).toEqual([{ kind: 'released', jobId: job.jobId, attempt: 2 }])
    expect(await readClaim(world.control, job)).toBeNull()
    expect(await readUnfinished(world.control, vmKey)).toMatchObject({ jobId: 'other' })
    expect(instances.started).toHaveLength(1)
  })

  it('has all attempts of a job again', async () => {
    const { world, deps, job, instances } = await missed('cancelled')
    await resumeJob({ ...deps }, job.jobId)
    for (const attempt of [2, 3, 4]) {
      const before = await readJobRecord(world.control, job.jobId)
      expect(before?.outcome).toBeNull()
      instances.statuses.set(`${job.jobId}.${attempt}`, { state: 'ended', runtimeStatus: 'Failed', customStatus: null })
      await supervise(deps)
    }
    expect(await readJobRecord(world.control, job.jobId)).toMatchObject({
      attempts: 4,
      outcome: { reason: 'attempts-exhausted' },
    })
  })

  it('happens once where two ask at once', async () => {
    const { deps, job, instances, world } = await missed('cancelled')
    const other = { ...deps, control: world.control.reopen() }
    const done = await Promise.all([resumeJob(deps, job.jobId), resumeJob(other, job.jobId)])
    expect(done.map(({ kind }) => kind).sort()).toEqual(['resumed', 'running'])
    expect(instances.started).toHaveLength(2)
  })
})

describe('a job that ended before it had its copies', () => {
  it('leaves no intent, and does not go on', async () => {
    const { sweep, world, run, deps, last } = await app()
    world.platform.answers.set('ensure', [{ kind: 'failed', reason: 'r', message: 'm', hint: 'h' }])
    await sweep()
    expect((await run()).outcome).toMatchObject({ kind: 'failed' })
    expect(names(world.control, 'intents/')).toEqual([])
    expect(await resumeJob(deps, last().job.jobId)).toMatchObject({ kind: 'impossible' })
    expect(await resumeJob(deps, 'backup-none')).toEqual({ kind: 'unknown' })
  })
})
