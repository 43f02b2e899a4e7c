import { beforeEach, describe, expect, it } from 'vitest'
import { compareRecoveryPoint } from '../../functions/http/compare-recovery-point.ts'
import { listVaultDamage } from '../../functions/http/damage.ts'
import { cancelRunningJob, getJob } from '../../functions/http/jobs.ts'
import { startBackup } from '../../functions/http/start-backup.ts'
import type { CompareJob } from '../../shared/domain/job.ts'
import { collectVault } from '../../shared/jobs/maintenance/collect-vault.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { ask } from '../functions/call-endpoint.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, mib, sampleJob, sampleVm, vmId } from './world.ts'

const { vmKey } = sampleVm()
type Instances = ReturnType<typeof fakeInstances>

let world: FakeWorld
let instances: Instances

/** One backup by another process, whose plan is collected before this one looks: nothing is remembered of it.
 * @returns the recovery point's id */
const backUp = async (day: number): Promise<string> => {
  const started = fakeInstances()
  const job = sampleJob(`day ${day}`, `2026-03-1${day}T02:00:00.000Z`)
  await startJob({ ...world, instances: started }, job)
  expect((await runJob(world, started.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
  await collectVault(world, { passId: `pass-${day}`, cursor: null })
  expect(names('plans/')).toEqual([])
  world = { ...world, control: world.control.reopen() }
  return job.recoveryPointId
}
const compare = (recoveryPointId = 'latest', body?: unknown) =>
  ask(compareRecoveryPoint, world, instances, {
    params: { vmKey, recoveryPointId },
    ...(body === undefined ? {} : { body }),
  })
/** Starts a comparison and runs its first attempt. */
const compared = async (body?: unknown, before?: Parameters<typeof runJob>[2]) => {
  expect(await compare('latest', body)).toMatchObject({ status: 202 })
  return (await runJob(world, instances.started.at(-1)!, before)).outcome
}
const sourceOf = (disk: string): Buffer => {
  const [, bytes] = [...world.platform.copies].find(([id]) => id.endsWith(`/${disk}`))!
  return bytes
}
const names = (prefix: string) => [...world.control.objects.keys()].filter((name) => name.startsWith(prefix))

/** Accesses, claim and intent are given back. */
const expectNothingLeft = (): void => {
  expect([...world.platform.live.keys()]).toEqual([])
  expect([...names('claims/'), ...names('intents/')]).toEqual([])
}

beforeEach(async () => {
  world = fakeWorld()
  instances = fakeInstances()
  seededRandom(4)
    .bytes(3 * mib)
    .copy(world.platform.disks.get('os')!, mib)
  world.platform.disks.get('lun-0')!.fill('x', 0, 4096)
})

describe('POST compare', () => {
  it('finds a recovery point equal to what it was made from, in a job that GET job tells of', async () => {
    const recoveryPointId = await backUp(0)
    const { status, body, told } = await compare()
    expect(status).toBe(202)
    expect(body).toMatchObject({ vmKey, recoveryPointId, disks: ['os', 'lun-0'], oneIn: 1 })
    expect(told).toEqual([expect.stringMatching(/^jobStarted: /)])
    const { outcome } = await runJob(world, instances.started[0]!)
    const disks = [
      { disk: 'os', kind: 'compared', sizeBytes: 4 * mib, readBytes: 4 * mib },
      { disk: 'lun-0', kind: 'compared', readBytes: 4 * mib },
    ]
    expect(outcome).toMatchObject({ kind: 'completed', recoveryPointId, summary: { disks } })
    const params = { jobId: String(body.jobId) }
    const job = await ask(getJob, world, instances, { method: 'GET', params })
    expect(job.body).toMatchObject({ kind: 'comparison', state: 'completed', recoveryPointId, percent: 100 })
    expectNothingLeft()
  })

  it('shows how far it is, of all its disks together', async () => {
    await backUp(0)
    const { body } = await compare()
    const comparing = { disk: 'lun-0', doneBytes: 6 * mib, readBytes: 5 * mib, totalBytes: 8 * mib }
    const customStatus = { phase: 'transfer', deadline: body.deadline, disks: 2, stopping: null, comparing }
    const params = { jobId: String(body.jobId) }
    instances.statuses.set(`${params.jobId}.1`, { state: 'running', runtimeStatus: 'Running', customStatus })
    world.clock.advance(60_000)
    const running = await ask(getJob, world, instances, { method: 'GET', params })
    expect(running.body).toMatchObject({
      state: 'running',
      kind: 'comparison',
      deadline: body.deadline,
      windowFor: null,
      percent: 75,
      expectedEndAt: new Date(world.clock.now().getTime() + 20_000).toISOString(),
      disks: [{ disk: 'lun-0', doneBytes: 6 * mib, readBytes: 5 * mib, totalBytes: 8 * mib }],
    })
  })

  it('finds it with the keys of the vault, too', async () => {
    world = { ...fakeWorld({ encryption: true }) }
    world.platform.disks.get('os')!.fill('secret', 0, 4096)
    await backUp(0)
    expect(await compared()).toMatchObject({ kind: 'completed' })
  })

  it('names the disk and the page that differ, and leaves vault and copies as they are', async () => {
    await backUp(0)
    sourceOf('os')[mib + 5]! ^= 1
    const objects = world.vault.objects.size
    expect(await compared()).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining(
        `differs-from-source: 4096 bytes lie in pages that differ, the first at ${mib} (4096)`,
      ),
      disks: [
        { disk: 'os', kind: 'failed' },
        { disk: 'lun-0', kind: 'compared' },
      ],
    })
    expect(world.vault.objects.size).toBe(objects)
    expectNothingLeft()
  })

  it('compares only the disks that are asked for, and only samples of them where that is asked for', async () => {
    await backUp(0)
    sourceOf('os')[0]! ^= 1
    expect(await compared({ disks: ['lun-0'] })).toMatchObject({
      kind: 'completed',
      summary: { disks: [{ disk: 'lun-0' }] },
    })
    const readBytes: number[] = []
    for (let tries = 0; tries < 8; tries += 1) {
      const outcome = await compared({ disks: ['lun-0'], oneIn: 2 })
      if (outcome?.kind === 'completed') readBytes.push(outcome.summary.disks[0]!.readBytes)
    }
    expect(new Set(readBytes)).toEqual(new Set([0, 4 * mib]))
  })

  it('tells damage that it comes upon', async () => {
    const recoveryPointId = await backUp(0)
    const name = [...world.vault.objects.keys()].find((one) => one.startsWith(`segments/${recoveryPointId}/os/`))!
    world.vault.objects.get(name)!.bytes[500]! ^= 1
    expect(await compared()).toMatchObject({ kind: 'failed', reason: expect.stringContaining(name) })
    const { body } = await ask(listVaultDamage, world, instances, { method: 'GET' })
    expect(body.damage).toMatchObject([{ name, vmKey }])
    expectNothingLeft()
  })
})

describe('what cannot be compared', () => {
  it('is refused where a later backup has taken the place of the copies, which names the newest', async () => {
    const first = await backUp(0)
    await backUp(1)
    expect(await compare(first)).toMatchObject({
      status: 409,
      body: {
        type: 'urn:deltavault:problem:source-copies-gone',
        errors: [{ field: 'recoveryPointId', fix: expect.stringContaining('latest') }],
      },
    })
    expect(instances.started).toEqual([])
    expect((await compare()).status).toBe(202)
  })

  it('ends as failed where the copies go before it begins', async () => {
    await backUp(0)
    const outcome = await compared(undefined, (activity) => {
      if (activity === 'planComparison') world.platform.copies.clear()
    })
    expect(outcome).toMatchObject({ kind: 'failed', reason: 'source-gone' })
    expectNothingLeft()
  })

  it('is refused where the body is wrong, naming the field', async () => {
    await backUp(0)
    const rows: readonly (readonly [unknown, number, string])[] = [
      [{ disks: ['lun-7'] }, 404, 'disks'],
      [{ disks: ['disk1'] }, 422, 'disks.0'],
      [{ disks: [] }, 422, 'disks'],
      [{ oneIn: 0 }, 422, 'oneIn'],
      [{ oneIn: 1.5 }, 422, 'oneIn'],
      [{ oneIn: '2' }, 422, 'oneIn'],
      [{ force: true }, 422, 'force'],
    ]
    for (const [body, status, field] of rows)
      expect(await compare('latest', body), JSON.stringify(body)).toMatchObject({
        status,
        body: { errors: [{ field }] },
      })
    expect(instances.started).toEqual([])
  })

  it('is a VM or a recovery point that is not there', async () => {
    expect(await compare()).toMatchObject({ status: 404 })
    expect(await compare('../claims')).toMatchObject({ status: 400 })
  })
})

describe('a comparison next to others', () => {
  it('and a backup of the VM exclude each other', async () => {
    await backUp(0)
    const first = await compare()
    const busy = { status: 409, body: { runningJobId: first.body.jobId } }
    expect(await ask(startBackup, world, instances, { body: { vmId } })).toMatchObject(busy)
    expect(await compare()).toMatchObject(busy)
    await runJob(world, instances.started[0]!)
    const backup = await ask(startBackup, world, instances, { body: { vmId } })
    expect(backup.status).toBe(202)
    expect(await compare()).toMatchObject({ status: 409, body: { runningJobId: backup.body.jobId } })
  })

  it('keeps what it reads, though the recovery point ends and a collection runs meanwhile', async () => {
    const recoveryPointId = await backUp(0)
    const outcome = await compared(undefined, async (activity) => {
      if (activity !== 'compareRange') return
      if (names('condemned/').length > 0) return
      await expireRecoveryPoint(world.vault, { vmKey, recoveryPointId, revision: 1 })
      await collectVault(world, { passId: `pass-${world.newToken()}`, cursor: null })
    })
    expect(outcome).toMatchObject({ kind: 'completed' })
    await collectVault(world, { passId: 'pass-after', cursor: null })
    expect([...world.vault.objects.keys()].filter((name) => name.startsWith('segments/'))).toEqual([])
  })

  it('ends as cancelled where somebody asks for it, with all accesses ended', async () => {
    await backUp(0)
    const outcome = await compared(undefined, async (activity, input) => {
      const { fromOffsetBytes = 0 } = input as { readonly fromOffsetBytes?: number }
      if (activity !== 'compareRange' || fromOffsetBytes !== 0) return
      const params = { jobId: instances.started[0]!.job.jobId }
      expect(await ask(cancelRunningJob, world, instances, { params })).toMatchObject({ status: 202 })
    })
    expect(outcome).toMatchObject({ kind: 'cancelled', disks: [{ kind: 'stopped' }, { kind: 'stopped' }] })
    expectNothingLeft()
  })

  it('ends at its deadline, so that backups do not wait for it for ever', async () => {
    await backUp(0)
    const outcome = await compared(undefined, (activity, input) => {
      const { disk } = input as { readonly disk?: string }
      if (activity === 'compareRange' && disk === 'lun-0') world.clock.advance(24 * 3_600_000)
    })
    expect(outcome).toMatchObject({
      kind: 'missedWindow',
      disks: [
        { disk: 'os', kind: 'compared' },
        { disk: 'lun-0', kind: 'stopped' },
      ],
    })
    expectNothingLeft()
  })

  it('is taken up by its next attempt where its instance died', async () => {
    await backUp(0)
    await compare()
    const [claim] = instances.started
    await expect(
      runJob(world, claim!, (activity) => {
        if (activity === 'compareRange') throw new Error('the worker died')
      }),
    ).resolves.toMatchObject({ outcome: { kind: 'failed' } })
    expectNothingLeft()
    await compare()
    const job = instances.started.at(-1)!.job as CompareJob
    instances.statuses.set(`${job.jobId}.1`, { state: 'ended', runtimeStatus: 'Failed', customStatus: null })
    expect(await supervise({ ...world, instances, attemptsMax: 5 })).toMatchObject([{ kind: 'retried', attempt: 2 }])
    expect((await runJob(world, instances.started.at(-1)!)).outcome).toMatchObject({ kind: 'completed' })
    expectNothingLeft()
  })

  it('is closed by the sweep where all its attempts are used up', async () => {
    await backUp(0)
    await compare()
    const claim = instances.started[0]!
    await runJob(world, claim, (activity) => {
      if (activity === 'closeSources' || activity === 'finishJob') throw new Error('no answer')
    })
    expect([...world.platform.live.keys()]).not.toEqual([])
    instances.statuses.set(`${claim.job.jobId}.1`, { state: 'ended', runtimeStatus: 'Failed', customStatus: null })
    expect(await supervise({ ...world, instances, attemptsMax: 1 })).toMatchObject([{ kind: 'gaveUp' }])
    expectNothingLeft()
  })
})
