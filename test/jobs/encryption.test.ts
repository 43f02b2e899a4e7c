import { describe, expect, it } from 'vitest'
import type { BackupJob, Claim, RestoreJob } from '../../shared/domain/job.ts'
import { scrubWithinBudget } from '../../shared/jobs/maintenance/scrub-vault.ts'
import { resumeJob } from '../../shared/jobs/resume-job.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import { noWrappers } from '../support/fake-key-wrapper.ts'
import { framesIn } from '../support/written-frames.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

const vmKey = sampleVm().vmKey
const marker = 'what the guest wrote and nobody else may read '

const worldWithData = (encryption = true): FakeWorld => {
  const world = fakeWorld({ encryption })
  for (const disk of world.platform.disks.values()) disk.fill(marker, 0, 8 * 4096)
  return world
}

const claimOf = async (world: FakeWorld, wishes: Partial<BackupJob> = {}, at = '2026-03-10'): Promise<Claim> => {
  const instances = fakeInstances()
  await startJob({ ...world, instances }, { ...sampleJob(`on ${at}`, `${at}T02:00:00.000Z`), ...wishes })
  return instances.started[0]!
}
const backUp = async (world: FakeWorld, wishes: Partial<BackupJob> = {}, at?: string) =>
  runJob(world, await claimOf(world, wishes, at))

const latest = async (world: FakeWorld) => (await latestRecoveryPoint(world.vault, vmKey))?.recoveryPoint

const restore = async (world: FakeWorld, recoveryPointId: string) => {
  const instances = fakeInstances()
  const job: RestoreJob = {
    kind: 'restore',
    jobId: `restore-${vmKey}-20260320t020000z-0123456789`,
    vmKey,
    recoveryPointId,
    disks: [{ disk: 'os', targetDiskId: '/disks/os-restored' }],
    location: 'westeurope',
    requestedAt: '2026-03-20T02:00:00.000Z',
  }
  await startJob({ ...world, instances }, job)
  return runJob(world, instances.started[0]!)
}

const framesOf = (world: FakeWorld) =>
  [...world.vault.objects]
    .filter(([name]) => name.startsWith('segments/'))
    .flatMap(([name, { bytes }]) => framesIn(name, Buffer.from(bytes)))

describe('a backup of an app with a wrapping key', () => {
  it('is encrypted, says so in its record, and is restored', async () => {
    const world = worldWithData()
    expect((await backUp(world)).outcome).toMatchObject({ kind: 'completed' })
    const point = (await latest(world))!
    expect(point.keyId).toBe((await world.keys.current())?.keyId)
    expect(framesOf(world).every(({ sealed }) => sealed?.keyId === point.keyId)).toBe(true)
    expect((await restore(world, point.recoveryPointId)).outcome).toMatchObject({ kind: 'completed' })
    expect(world.platform.targets.get('/disks/os-restored')?.bytes.equals(world.platform.disks.get('os')!)).toBe(true)
  })

  it('is not encrypted where the policy wants none', async () => {
    const world = worldWithData()
    await backUp(world, { encryption: false, compression: 'none' })
    expect(await latest(world)).toMatchObject({
      keyId: null,
      disks: [{ compression: 'none' }, { compression: 'none' }],
    })
    expect(framesOf(world).every(({ sealed, compression }) => sealed === null && compression === 'raw')).toBe(true)
    expect([...world.vault.objects.keys()].some((name) => name.startsWith('keys/'))).toBe(false)
  })

  it('goes on under the key it began with where the data key was rotated meanwhile', async () => {
    const world = worldWithData()
    const before = (await world.keys.current())?.keyId
    const claim = await claimOf(world)
    const run = await runJob(world, claim, async (activity) => {
      if (activity === 'planDisk') await world.keys.rotateDataKey()
    })
    expect(run.outcome).toMatchObject({ kind: 'completed' })
    expect((await latest(world))?.keyId).toBe(before)
    expect(new Set(framesOf(world).map(({ sealed }) => sealed?.keyId))).toEqual(new Set([before]))
    await backUp(world, {}, '2026-03-11')
    expect((await latest(world))?.keyId).not.toBe(before)
  })

  it('fails with a reason and a hint where the wrapping key refuses, and can go on when it is given back', async () => {
    const world = worldWithData()
    await world.keys.current()
    const claim = await claimOf(world)
    const failed = await runJob(world, claim, (activity) => {
      if (activity !== 'planDisk') return
      world.wrapper.failure = { kind: 'key-disabled', key: 'kek' }
      world.clock.advance(10 * 60_000)
    })
    expect(failed.outcome).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/^vault-key-locked: .*the key kek is disabled/),
      hint: expect.stringContaining('wrapping key'),
    })
    world.wrapper.failure = null
    world.clock.advance(60_000)
    const instances = fakeInstances()
    await resumeJob({ ...world, instances }, claim.job.jobId)
    expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
  })

  it('fails before it takes a copy where no data key can be made', async () => {
    const world = worldWithData()
    world.wrapper.failure = { kind: 'refused', key: 'kek' }
    expect((await backUp(world)).outcome).toMatchObject({ kind: 'failed', reason: 'wrapping-key-refused' })
    expect(world.platform.restorePointsMade).toBe(0)
  })

  it('is tried again where the service of the wrapping key does not answer', async () => {
    const world = worldWithData()
    world.wrapper.failure = { kind: 'unreachable', key: 'kek' }
    let tries = 0
    const run = await runJob(world, await claimOf(world), (activity) => {
      if (activity === 'planBackup' && ++tries === 3) world.wrapper.failure = null
    })
    expect(tries).toBe(3)
    expect(run.outcome).toMatchObject({ kind: 'completed' })
  })

  it('is told by each pass over the vault where nobody could restore it: a vault that is whole and locked is not well', async () => {
    const world = worldWithData()
    const step = { passId: 'pass-1', cursor: null }
    expect(await scrubWithinBudget(world, step)).toMatchObject({ kind: 'done', problems: [] })
    expect(world.control.objects.has('keys/current.json')).toBe(false)
    await backUp(world)
    expect(await scrubWithinBudget(world, step)).toMatchObject({ kind: 'done', problems: [] })
    const { vault, control, clock } = world
    const locked = { ...world, keys: createVaultKeys({ vault, control, clock, wrappers: noWrappers }) }
    expect(await scrubWithinBudget(locked, step)).toMatchObject({
      kind: 'done',
      counts: { damaged: 0 },
      problems: [{ reason: 'vault-key-locked', hint: expect.stringContaining('wrapping key') }],
    })
    world.wrapper.failure = { kind: 'unreachable', key: 'kek' }
    world.clock.advance(3_600_000)
    expect(await scrubWithinBudget(world, step)).toMatchObject({
      problems: [{ reason: expect.stringMatching(/^key/) }],
    })
  })

  it('shows no data key and nothing of the disks, in any object, history or outcome', async () => {
    const world = worldWithData()
    const run = await backUp(world)
    const [hex] = [...world.wrapper.seen]
    const key = Buffer.from(hex!, 'hex')
    const forms = [key, ...(['hex', 'base64', 'base64url'] as const).map((form) => Buffer.from(key.toString(form)))]
    const stored = [...world.vault.objects, ...world.control.objects].map(([, { bytes }]) => Buffer.from(bytes))
    const told = Buffer.from(JSON.stringify(run))
    for (const form of forms) expect([...stored, told].some((bytes) => bytes.includes(form))).toBe(false)
    expect(stored.some((bytes) => bytes.includes(marker))).toBe(false)
  })
})

describe('a backup of an app without a wrapping key', () => {
  it('is not encrypted', async () => {
    const world = worldWithData(false)
    await backUp(world)
    expect(await latest(world)).toMatchObject({ keyId: null, disks: [{ compression: 'zstd' }, {}] })
  })

  it('fails at once where the policy wants encryption', async () => {
    const world = worldWithData(false)
    const run = await backUp(world, { encryption: true })
    expect(run.outcome).toMatchObject({
      kind: 'failed',
      reason: 'no-wrapping-key',
      hint: expect.stringContaining('VAULT_KEY'),
    })
  })

  it('cannot restore what an app with one has encrypted', async () => {
    const world = worldWithData()
    await backUp(world)
    const { vault, control, clock } = world
    const without = { ...world, keys: createVaultKeys({ vault, control, clock, wrappers: noWrappers }) }
    const run = await restore(without, (await latest(world))!.recoveryPointId)
    expect(run.outcome).toMatchObject({
      kind: 'failed',
      disks: [{ reason: expect.stringMatching(/^vault-key-locked: .*the settings name no key/) }],
    })
  })
})
