import { describe, expect, it } from 'vitest'
import type { JobOutcome } from '../../shared/domain/job.ts'
import { refOf } from '../../shared/domain/job-ref.ts'
import { markClosing, readClaim, takeClaim } from '../../shared/jobs/claim.ts'
import { readJobRecord, recordOutcome } from '../../shared/jobs/job-records.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { takeSources } from '../../shared/jobs/take-sources.ts'
import { runJob } from './run-job.ts'
import { fakeInstances, fakeWorld, sampleJob } from './world.ts'

const job = sampleJob()
const failure: JobOutcome = { kind: 'failed', reason: 'r', message: 'm', hint: 'h', disks: [] }

const running = async () => {
  const world = fakeWorld()
  const instances = fakeInstances()
  const deps = { ...world, instances, attemptsMax: 3 }
  await startJob(deps, job)
  const end = (attempt: number, runtimeStatus: string) =>
    instances.statuses.set(`${job.jobId}.${attempt}`, { state: 'ended', runtimeStatus, customStatus: null })
  return { world, instances, deps, end }
}

describe('the supervisor', () => {
  it('leaves a job alone that runs', async () => {
    const { deps, instances } = await running()
    expect(await supervise(deps)).toEqual([{ kind: 'left', jobId: job.jobId }])
    expect(instances.started).toHaveLength(1)
  })

  it.each(['Failed', 'Terminated', 'Completed'])(
    'starts the next attempt where an instance is %s without an outcome',
    async (runtimeStatus) => {
      const { deps, end, instances, world } = await running()
      end(1, runtimeStatus)
      expect(await supervise(deps)).toMatchObject([{ kind: 'retried', jobId: job.jobId, attempt: 2 }])
      const [first, second] = instances.started
      expect(second).toMatchObject({ job, attempt: 2 })
      expect(second!.token).not.toBe(first!.token)
      expect((await readClaim(world.control, job))!.claim).toEqual(second)
      expect(await supervise(deps)).toEqual([{ kind: 'left', jobId: job.jobId }])
    },
  )

  it('starts the next attempt where the engine has lost one that was closing: under its mark nothing is opened', async () => {
    const { deps, instances, world } = await running()
    await markClosing(world.control, refOf(instances.started[0]!))
    instances.statuses.clear()
    expect(await supervise(deps)).toMatchObject([{ kind: 'retried', jobId: job.jobId, attempt: 2, endedAs: 'lost' }])
    expect((await readClaim(world.control, job))!.claim).not.toHaveProperty('isClosing')
  })

  it('starts what a starter that died had only claimed, and writes its record', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    await takeClaim(world.control, job, 'token-x', world.clock.now())
    expect(await supervise({ ...world, instances, attemptsMax: 3 })).toEqual([
      { kind: 'started', jobId: job.jobId, attempt: 1 },
    ])
    expect(await readJobRecord(world.control, job.jobId)).toMatchObject({ job, outcome: null })
    expect(instances.started).toMatchObject([{ token: 'token-x' }])
  })

  it('releases the claim of a job that ended before it could do so itself', async () => {
    const { deps, end, world } = await running()
    end(1, 'Completed')
    await recordOutcome(world.control, { job, attempts: 1, outcome: failure, now: world.clock.now() })
    expect(await supervise(deps)).toEqual([{ kind: 'released', jobId: job.jobId, attempt: 1 }])
    expect(await readClaim(world.control, job)).toBeNull()
    expect(await supervise(deps)).toEqual([])
  })

  it('gives up after the last attempt: access ended, outcome recorded with reason and hint, claim released', async () => {
    const { deps, end, world, instances } = await running()
    await planVmBackup(world, { job, token: instances.started[0]!.token })
    await takeSources(world, refOf(instances.started[0]!), 'restorePoints')
    for (const id of world.platform.copies.keys()) await world.access.grantRead(id, 60, 0)
    expect(world.platform.live.size).toBe(2)
    for (const attempt of [1, 2, 3]) {
      end(attempt, 'Failed')
      await supervise(deps)
    }
    expect(world.platform.live.size).toBe(0)
    const record = await readJobRecord(world.control, job.jobId)
    expect(record).toMatchObject({
      attempts: 3,
      outcome: { kind: 'failed', reason: 'attempts-exhausted', hint: expect.stringMatching(/log/) },
    })
    expect(await readClaim(world.control, job)).toBeNull()
  })

  it('finishes a job as completed whose attempts all ended after the commit', async () => {
    const { deps, end, world, instances } = await running()
    world.platform.disks.get('os')!.fill('x')
    world.platform.answers.set('revoke', [{ kind: 'pending', retryAfterSeconds: 5 }])
    await runJob(world, instances.started[0]!, (activity) => {
      if (activity === 'closeSources' || activity === 'finishJob') throw new Error('the worker died')
    })
    end(1, 'Failed')
    expect(await supervise({ ...deps, attemptsMax: 1 })).toMatchObject([
      { kind: 'finished', jobId: job.jobId, vmKey: job.vmKey, attempt: 1, milliseconds: 0 },
    ])
    expect(await readJobRecord(world.control, job.jobId)).toMatchObject({
      outcome: {
        kind: 'completed',
        recoveryPointId: job.recoveryPointId,
        summary: { consistency: 'fileSystem', disks: [{ disk: 'os', transfer: 'full' }, { disk: 'lun-0' }] },
      },
    })
    expect(world.platform.live.size).toBe(0)
    expect(await readClaim(world.control, job)).toBeNull()
  })

  it('gives up, and is not held up, where the commit record is damaged', async () => {
    const { deps, end, world } = await running()
    const { vmKey, recoveryPointId } = job
    await world.vault.create(`recovery-points/${vmKey}/${recoveryPointId}/0001.json`, [new Uint8Array(40)])
    end(1, 'Failed')
    expect(await supervise({ ...deps, attemptsMax: 1 })).toMatchObject([{ kind: 'gaveUp' }])
  })

  it('waits with giving up while the access cannot be ended yet', async () => {
    const { deps, end, world, instances } = await running()
    await planVmBackup(world, { job, token: instances.started[0]!.token })
    await takeSources(world, refOf(instances.started[0]!), 'restorePoints')
    world.platform.answers.set('revoke', [{ kind: 'pending', retryAfterSeconds: 5 }])
    end(1, 'Failed')
    expect(await supervise({ ...deps, attemptsMax: 1 })).toEqual([{ kind: 'waits', jobId: job.jobId, attempt: 1 }])
    expect(await readClaim(world.control, job)).not.toBeNull()
    expect(await supervise({ ...deps, attemptsMax: 1 })).toMatchObject([
      { kind: 'gaveUp', jobId: job.jobId, attempt: 1 },
    ])
  })

  it('starts one next attempt where two of it look at once', async () => {
    const { deps, end, instances, world } = await running()
    end(1, 'Failed')
    const done = await Promise.all([supervise(deps), supervise({ ...deps, control: world.control.reopen() })])
    expect(
      done
        .flat()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['left', 'retried'])
    expect(instances.started).toHaveLength(2)
  })

  it('goes on with the other claims where one has a fault', async () => {
    const { deps, end, instances, world } = await running()
    const other = sampleJob('other')
    await world.control.create('claims/another-vm', [
      new TextEncoder().encode(
        JSON.stringify({ job: { ...other, vmKey: 'another-vm' }, attempt: 1, token: 't', takenAt: '' }),
      ),
    ])
    end(1, 'Failed')
    const status = instances.status
    instances.status = async (id) => {
      if (id.startsWith(other.jobId)) throw new Error('no answer')
      return status(id)
    }
    expect((await supervise(deps)).map(({ kind }) => kind).sort()).toEqual(['fault', 'retried'])
  })
})
