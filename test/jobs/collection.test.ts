import { beforeEach, describe, expect, it } from 'vitest'
import type { RestoreJob } from '../../shared/domain/job.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { commitRecoveryPoint } from '../../shared/vault/commit-recovery-point.ts'
import { dropCondemned, writeCondemned } from '../../shared/vault/condemned.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { latestRecoveryPoint, readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { type JobRun, runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob } from './world.ts'

/** Jobs next to expiry and collection. */
let world: FakeWorld
const jobOf = (day: number) => sampleJob(`cause-${day}`, `2026-03-1${day}T02:00:00.000Z`)
const backUp = async (day: number, before?: Parameters<typeof runJob>[2]): Promise<JobRun> => {
  world.platform.disks.get('os')?.fill(`${day}`, 4096 * day, 4096 * (day + 1))
  const instances = fakeInstances()
  await startJob({ ...world, instances }, jobOf(day))
  const [claim] = instances.started
  if (claim === undefined) throw new Error('the job was not started')
  return runJob(world, claim, before)
}
const key = (day: number) => ({ vmKey: jobOf(day).vmKey, recoveryPointId: jobOf(day).recoveryPointId })
const expire = (day: number) => expireRecoveryPoint(world.vault, { ...key(day), revision: 1 })
const collect = async (): Promise<void> => {
  for (const passId of ['one', 'two']) await collectGarbage(world, { passId, objectsMax: 1000 })
}
const disksOf = async (day: number) =>
  (await readRecoveryPoint(world.vault, key(day)))?.recoveryPoint.disks.map(({ transfer, fullReason }) => [
    transfer,
    fullReason,
  ])

beforeEach(async () => {
  world = fakeWorld()
  expect((await backUp(0)).outcome).toMatchObject({ kind: 'completed' })
})

describe('a backup next to expiry and collection', () => {
  it('does not build on a recovery point that ends while it is being chosen', async () => {
    world.control.pause = async ({ operation, name }) => {
      if (operation === 'create' && name.startsWith('intents/')) await expire(0)
    }
    expect((await backUp(1)).outcome).toMatchObject({ kind: 'completed' })
    expect(await disksOf(1)).toEqual([
      ['full', 'base-ended'],
      ['full', 'base-ended'],
    ])
    await collect()
    expect([...world.vault.objects.keys()].filter((name) => name.includes(`/${key(0).recoveryPointId}/os`))).toEqual([])
  })

  it('does not build on layers that a collection is about to remove', async () => {
    const layerIds = [`${key(0).recoveryPointId}/os`]
    await writeCondemned(world.control, { passId: 'pass', recoveryPointIds: [], layerIds })
    expect((await backUp(1)).outcome).toMatchObject({ kind: 'completed' })
    expect((await disksOf(1))?.[0]).toEqual(['full', 'base-ended'])
    await dropCondemned(world.control, 'pass')
  })

  it('goes on where its base ends and is collected after it was chosen', async () => {
    const run = await backUp(1, async (activity) => {
      if (activity !== 'transferSlice') return
      await expire(0)
      await collect()
    })
    expect(run.outcome).toMatchObject({ kind: 'completed' })
    expect((await disksOf(1))?.[0]).toEqual(['incremental', null])
    await collect()
    const record = await latestRecoveryPoint(world.vault, key(1).vmKey)
    expect(record?.recoveryPoint.disks[0]?.stack).toHaveLength(2)
    for (const { layerId } of record?.recoveryPoint.disks[0]?.stack ?? [])
      expect(world.vault.objects.has(`layers/${layerId}`)).toBe(true)
  })

  it('is fenced off where it can never be committed, before its intent goes', async () => {
    world.platform.vms = []
    expect((await backUp(1)).outcome).toMatchObject({ kind: 'failed', reason: 'vm-not-found' })
    const latest = await latestRecoveryPoint(world.vault, key(1).vmKey)
    if (latest === null) throw new Error('there is no recovery point')
    const { format: _f, revision: _r, merkleRoot: _m, ...draft } = latest.recoveryPoint
    expect((await commitRecoveryPoint(world, { ...draft, ...key(1) })).kind).toBe('aborted')
  })

  it('keeps its intent, and what it has, while it can go on', async () => {
    world.platform.answers.set('grantRead', [{ kind: 'failed', reason: 'no-role', message: 'm', hint: 'h' }])
    expect((await backUp(1)).outcome).toMatchObject({ kind: 'failed' })
    await collect()
    expect(world.control.objects.has(`intents/${key(1).recoveryPointId}.json`)).toBe(true)
    expect(world.control.objects.has(`plans/${key(1).recoveryPointId}/vm.json`)).toBe(true)
    expect(world.vault.objects.has(`recovery-points/${key(1).vmKey}/${key(1).recoveryPointId}/0001.json`)).toBe(false)
    world.platform.answers.clear()
    expect((await backUp(2)).outcome).toMatchObject({ kind: 'completed' })
    await collect()
    const left = [...world.control.objects.keys()].filter((name) => name.includes(`/${key(1).recoveryPointId}`))
    expect(left).toEqual([])
    expect(await readRecoveryPoint(world.vault, key(1))).toBeNull()
  })
})

describe('a restore next to expiry and collection', () => {
  it('comes to its end though its recovery point ends and is collected meanwhile', async () => {
    await backUp(1)
    const job: RestoreJob = {
      kind: 'restore',
      jobId: `restore-${key(0).vmKey}-20260320t020000z-0123456789`,
      ...key(0),
      disks: [{ disk: 'os', targetDiskId: '/disks/new-os' }],
      location: 'westeurope',
      requestedAt: '2026-03-20T02:00:00.000Z',
    }
    const instances = fakeInstances()
    await startJob({ ...world, instances }, job)
    const [claim] = instances.started
    if (claim === undefined) throw new Error('the job was not started')
    const run = await runJob(world, claim, async (activity) => {
      if (activity !== 'openRestoreDisk') return
      await expire(0)
      await collect()
    })
    expect(run.outcome).toMatchObject({ kind: 'completed' })
    expect(await readRecoveryPoint(world.vault, key(0))).toBeNull()
    expect(world.platform.targets.get('/disks/new-os')?.bytes.subarray(0, 4096).equals(Buffer.alloc(4096, '0'))).toBe(
      true,
    )
  })
})
