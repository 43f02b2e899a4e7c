import { describe, expect, it, vi } from 'vitest'
import type { RestoreJob } from '../../shared/domain/job.ts'
import { type DiskRef, refOf } from '../../shared/domain/job-ref.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { chooseBase } from '../../shared/jobs/choose-base.ts'
import { readClaim, renewClaim, takeClaim } from '../../shared/jobs/claim.ts'
import { closeJob } from '../../shared/jobs/close-job.ts'
import { commitJob } from '../../shared/jobs/commit-job.ts'
import { planDiskTransfer } from '../../shared/jobs/plan-disk-transfer.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { planVmRestore } from '../../shared/jobs/plan-vm-restore.ts'
import { releaseSources } from '../../shared/jobs/release-sources.ts'
import {
  abandonPlannedDisk,
  finishPlannedDisk,
  openPlannedDisk,
  writePlannedRange,
} from '../../shared/jobs/restore-planned-disk.ts'
import { sealPlannedDisk } from '../../shared/jobs/seal-planned-disk.ts'
import { safeMessage, stepFailure } from '../../shared/jobs/step-failure.ts'
import { requestStop } from '../../shared/jobs/stop.ts'
import { takeSources } from '../../shared/jobs/take-sources.ts'
import { transferDiskSlice } from '../../shared/jobs/transfer-disk-slice.ts'
import { withReader } from '../../shared/jobs/with-reader.ts'
import { StorageError } from '../../shared/ports/blob-store.ts'
import { SourceError } from '../../shared/ports/disk-reader.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

const job = sampleJob()
const ref = refOf({ job, token: 'token-1' })
const disk: DiskRef = { ...ref, disk: 'os' }

/** A job whose sources are taken, by its first attempt. */
const begun = async (): Promise<FakeWorld> => {
  const world = fakeWorld()
  world.platform.disks.get('os')!.fill('x', 0, 4096)
  await takeClaim(world.control, job, 'token-1', world.clock.now())
  await planVmBackup(world, { job, token: 'token-1' })
  await takeSources(world, ref, 'restorePoints')
  return world
}
const overtake = async (world: FakeWorld): Promise<void> => {
  await renewClaim(world.control, (await readClaim(world.control, job))!, 'token-2', world.clock.now())
}
const source = (world: FakeWorld) => ({
  kind: 'diskRestorePoint' as const,
  resourceId: [...world.platform.copies.keys()].find((id) => id.endsWith('/os'))!,
  familyId: null,
  sourceUniqueId: 'u',
})

const restoreJob: RestoreJob = {
  kind: 'restore',
  jobId: `restore-${job.vmKey}-20260320t020000z-0123456789`,
  vmKey: job.vmKey,
  recoveryPointId: job.recoveryPointId,
  disks: [{ disk: 'os', targetDiskId: '/disks/new' }],
  location: 'westeurope',
  requestedAt: '2026-03-20T02:00:00.000Z',
}
const restoreRef: DiskRef = { ...refOf({ job: restoreJob, token: 'token-1' }), disk: 'os' }

/** Everything that a step could change, short enough to be compared. */
const stateOf = ({ control, vault, platform }: FakeWorld): readonly string[] => [
  ...[...control.objects, ...vault.objects].map(([name, { etag }]) => `${name} ${etag}`),
  ...platform.copies.keys(),
  ...[...platform.live].flat(),
]

describe('a step of an attempt that was overtaken', () => {
  it.each([
    ['planVmBackup', (world: FakeWorld) => planVmBackup(world, { job, token: 'token-1' })],
    ['takeSources', (world: FakeWorld) => takeSources(world, ref, 'restorePoints')],
    ['planDiskTransfer', (world: FakeWorld) => planDiskTransfer(world, disk)],
    ['transferDiskSlice', (world: FakeWorld) => transferDiskSlice(world, { ...disk, slice: 0 })],
    ['commitJob', (world: FakeWorld) => commitJob(world, ref)],
    ['closeJob', (world: FakeWorld) => closeJob(world, ref)],
    ['releaseSources', (world: FakeWorld) => releaseSources(world, ref)],
  ])('%s changes nothing', async (_name, step) => {
    const world = await begun()
    await world.access.grantRead(source(world).resourceId, 60, 0)
    await overtake(world)
    const before = stateOf(world)
    const answer = await step(world)
    expect('reason' in answer ? answer.reason : answer.kind).toBe('superseded')
    expect(stateOf(world)).toEqual(before)
  })

  it.each([
    ['planVmRestore', (world: FakeWorld) => planVmRestore(world, { job: restoreJob, token: 'token-1' })],
    ['openPlannedDisk', (world: FakeWorld) => openPlannedDisk(world, restoreRef)],
    ['writePlannedRange', (world: FakeWorld) => writePlannedRange(world, { ...restoreRef, fromOffsetBytes: 0 })],
    ['finishPlannedDisk', (world: FakeWorld) => finishPlannedDisk(world, restoreRef)],
    ['abandonPlannedDisk', (world: FakeWorld) => abandonPlannedDisk(world, restoreRef)],
  ])('%s touches no disk', async (_name, step) => {
    const world = fakeWorld()
    await takeClaim(world.control, restoreJob, 'token-2', world.clock.now())
    expect(await step(world)).toMatchObject({ kind: 'failed', reason: 'superseded' })
    expect(world.platform.targets.size).toBe(0)
  })
})

describe('access to a source', () => {
  it.each([
    ['was closed', (world: FakeWorld) => closeJob(world, ref)],
    ['is over', (world: FakeWorld) => world.control.remove(`claims/${ref.vmKey}`)],
  ])('is ended unused by the step that gets it when its job %s', async (_how, end) => {
    const world = await begun()
    const { grantRead } = world.access
    world.access.grantRead = async (...asked) => {
      await end(world)
      return grantRead(...asked)
    }
    const use = vi.fn()
    expect(await withReader(world, ref, { source: source(world), base: null }, use)).toMatchObject({
      reason: 'superseded',
    })
    expect(use).not.toHaveBeenCalled()
    expect(world.platform.live.size).toBe(0)
  })

  it('is ended by the closing of the job while a step reads, and not granted anew', async () => {
    const world = await begun()
    const answer = await withReader(world, ref, { source: source(world), base: null }, async (reader) => {
      expect(world.platform.live.size).toBe(1)
      await closeJob(world, ref)
      await reader.readInto(new Uint8Array(4096), 0)
      return { kind: 'done' }
    })
    expect(answer).toMatchObject({ reason: 'superseded' })
    expect(world.platform.live.size).toBe(0)
  })

  it('is not used by a step whose job was asked to stop', async () => {
    const world = await begun()
    await requestStop(world.control, ref, 'cancelled')
    const use = vi.fn()
    expect(await withReader(world, ref, { source: source(world), base: null }, use)).toEqual({
      kind: 'stopped',
      reason: 'cancelled',
    })
    expect(use).not.toHaveBeenCalled()
  })

  it('is left to the next attempt by the step that was overtaken: both have the same URL', async () => {
    const world = await begun()
    await withReader(world, ref, { source: source(world), base: null }, async () => {
      await overtake(world)
      return { kind: 'done' }
    })
    expect(world.platform.live.size).toBe(1)
  })

  it('stays for the next step of the same attempt', async () => {
    const world = await begun()
    await withReader(world, ref, { source: source(world), base: null }, async () => ({ kind: 'done' }))
    expect(world.platform.live.size).toBe(1)
  })

  it('that somebody ended is asked for anew, not taken from memory', async () => {
    const world = await begun()
    const remembered = new Map<string, string>()
    const { grantRead } = world.access
    world.access.grantRead = async (id, seconds, waitMs) => {
      const sasUrl = remembered.get(id)
      if (sasUrl !== undefined) return { kind: 'granted', sasUrl }
      const granted = await grantRead(id, seconds, waitMs)
      if (granted.kind === 'granted') remembered.set(id, granted.sasUrl)
      return granted
    }
    world.access.forget = (id) => void remembered.delete(id)
    await withReader(world, ref, { source: source(world), base: null }, async () => ({ kind: 'first' }))
    world.platform.live.clear()
    expect(
      await withReader(world, ref, { source: source(world), base: null }, async () => ({ kind: 'second' })),
    ).toEqual({ kind: 'second' })
  })

  it('that ends again and again is left to the retry policy', async () => {
    const world = await begun()
    let tries = 0
    const ended = withReader(world, ref, { source: source(world), base: null }, async () => {
      tries += 1
      throw new SourceError({ code: 'access-ended' })
    })
    await expect(ended).rejects.toThrow(SourceError)
    expect(tries).toBe(2)
  })

  it('that is refused is the outcome', async () => {
    const world = await begun()
    world.platform.answers.set('grantRead', [{ kind: 'failed', reason: 'no-role', message: 'm', hint: 'h' }])
    expect(await transferDiskSlice(world, { ...disk, slice: 0 })).toMatchObject({ kind: 'failed', reason: 'no-role' })
  })
})

describe('a step that finds nothing to work on', () => {
  it.each([
    ['takeSources', (world: FakeWorld) => takeSources(world, ref, 'restorePoints'), 'plan-missing'],
    ['planDiskTransfer', (world: FakeWorld) => planDiskTransfer(world, disk), 'plan-missing'],
    ['transferDiskSlice', (world: FakeWorld) => transferDiskSlice(world, { ...disk, slice: 0 }), 'plan-missing'],
    ['sealPlannedDisk', (world: FakeWorld) => sealPlannedDisk(world, disk), 'plan-missing'],
    ['commitJob', (world: FakeWorld) => commitJob(world, ref), 'plan-missing'],
    ['releaseSources', (world: FakeWorld) => releaseSources(world, ref), 'not-committed'],
  ])('%s says so', async (_name, step, reason) => {
    const world = fakeWorld()
    await takeClaim(world.control, job, 'token-1', world.clock.now())
    expect(await step(world)).toMatchObject({ kind: 'failed', reason, hint: expect.any(String) })
  })

  it('releases nothing before the commit', async () => {
    const world = await begun()
    expect(await releaseSources(world, ref)).toMatchObject({ kind: 'failed', reason: 'not-committed' })
    expect(world.platform.copies.size).toBe(2)
  })

  it('commits nothing while a disk is not sealed', async () => {
    const world = await begun()
    await planDiskTransfer(world, disk)
    await transferDiskSlice(world, { ...disk, slice: 0 })
    await sealPlannedDisk(world, disk)
    expect(await commitJob(world, ref)).toMatchObject({ kind: 'failed', reason: 'disk-not-sealed' })
    expect(await latestRecoveryPoint(world.vault, job.vmKey)).toBeNull()
  })
})

describe('a step that is repeated', () => {
  it('finds its twin: plan, sources, disk plan, slice and layer stay as they were', async () => {
    const world = await begun()
    world.platform.vms = []
    world.platform.disks.get('os')!.fill('y', 8192, 12288)
    expect(await planVmBackup(world, { job, token: 'token-1' })).toEqual({
      kind: 'planned',
      disks: ['os', 'lun-0'],
      deadline: null,
    })
    await takeSources(world, ref, 'restorePoints')
    expect(world.platform.restorePointsMade).toBe(1)
    const twice = async <T>(step: () => Promise<T>) => [await step(), await step()]
    for (const [first, second] of [
      await twice(() => planDiskTransfer(world, disk)),
      await twice(() => transferDiskSlice(world, { ...disk, slice: 0 })),
      await twice(() => sealPlannedDisk(world, disk)),
    ])
      expect(second).toEqual(first)
  })

  it('finds the plan of a disk, though its source cannot be opened any more', async () => {
    const world = await begun()
    const planned = await planDiskTransfer(world, disk)
    world.platform.answers.set('grantRead', [{ kind: 'failed', reason: 'not-found', message: 'm', hint: 'h' }])
    expect(await planDiskTransfer({ ...world, control: world.control.reopen() }, disk)).toEqual(planned)
  })

  it('finishes a restored disk again without opening it again', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    await takeClaim(world.control, job, 'token-1', world.clock.now())
    await runJob(world, (await readClaim(world.control, job))!.claim)
    await takeClaim(world.control, restoreJob, 'token-1', world.clock.now())
    await planVmRestore(world, { job: restoreJob, token: 'token-1' })
    await openPlannedDisk(world, restoreRef)
    expect(await finishPlannedDisk(world, restoreRef)).toEqual({ kind: 'finished' })
    expect(await finishPlannedDisk(world, restoreRef)).toEqual({ kind: 'finished' })
    expect(world.platform.targets.get('/disks/new')).toMatchObject({ state: 'usable', footer: true })
    expect(instances.started).toEqual([])
  })
})

describe('the base of a disk', () => {
  const vmDisk = sampleVm().disks[0]!
  const record = async () => {
    const world = fakeWorld()
    await takeClaim(world.control, job, 'token-1', world.clock.now())
    await runJob(world, (await readClaim(world.control, job))!.claim)
    return (await latestRecoveryPoint(world.vault, job.vmKey))!.recoveryPoint
  }
  const tib = 1024 ** 4
  const sized = async (before: number, now: number) => {
    const latest = await record()
    const disks = latest.disks.map((committed) => ({ ...committed, sizeBytes: before }))
    const chosen = await chooseBase(
      { ...vmDisk, sizeBytes: now },
      'restorePoints',
      { ...latest, disks },
      async () => true,
    )
    return chosen.fullReason
  }

  it.each([
    [1 * tib, 2 * tib, null],
    [4 * tib, 4 * tib, null],
    [5 * tib, 6 * tib, null],
    [2 * tib, 4 * tib, 'resized-across-4-tib'],
    [4 * tib, 5 * tib, 'resized-across-4-tib'],
    [2 * tib, 8 * tib, 'resized-across-4-tib'],
  ])('of %d bytes that has %d now is unusable for %s', async (before, now, reason) =>
    expect(await sized(before, now)).toBe(reason),
  )

  it('is of the same kind of source', async () =>
    expect((await chooseBase(vmDisk, 'diskSnapshots', await record(), async () => true)).fullReason).toBe(
      'source-kind-changed',
    ))

  it('is missing for a disk that is new in the VM', async () =>
    expect(
      (await chooseBase({ ...vmDisk, disk: 'lun-9' }, 'restorePoints', await record(), async () => true)).fullReason,
    ).toBe('first-backup-of-disk'))
})

describe('a fault of a step', () => {
  it('is an outcome where another try cannot cure it', () => {
    expect(stepFailure(new StorageError({ code: 'forbidden', name: 'x' }))).toMatchObject({
      kind: 'failed',
      reason: 'storage-forbidden',
    })
    expect(stepFailure(new VaultError({ code: 'digest-mismatch', name: 'x' } as never))).toMatchObject({
      reason: 'vault-digest-mismatch',
    })
  })

  it('is thrown where it can', () => {
    expect(stepFailure(new StorageError({ code: 'throttled', name: 'x', retryAfterSeconds: 1 }))).toBeNull()
    expect(stepFailure(new Error('reset'))).toBeNull()
  })

  it('is told without secrets and not at length', () => {
    const text = safeMessage(
      new Error(
        `GET https://a.invalid/x?sv=1&sig=abc%2Fdef&code=k failed; AccountKey=qq== Bearer eyJ.a.b ${'y'.repeat(5000)}`,
      ),
    )
    expect(text).not.toMatch(/abc|code=k|qq==|eyJ/)
    expect(text.length).toBeLessThanOrEqual(400)
  })
})
