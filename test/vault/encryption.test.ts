import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { createKeyFileWrapper } from '../../shared/azure/key-file-wrapper.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import type { KeyWrappers } from '../../shared/ports/key-wrapper.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { createVaultKeys, type VaultKeys } from '../../shared/vault/vault-keys.ts'
import { allocatedRanges, applyWrites, randomWrites } from '../support/disk-history.ts'
import { createFakeKeyWrapper, type FakeKeyWrapper, noWrappers, onlyWrapper } from '../support/fake-key-wrapper.ts'
import { loadGoldenVault } from '../support/golden-vault.ts'
import { createMemoryBlobStore, SimulatedCrash } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { type BackupOrder, backUp, mib, restoreDisk, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { framesIn, noteWrittenFrames, type WrittenFrame } from '../support/written-frames.ts'

/** Replay with SIM_SEED=<seed>. */
const seed = Number(process.env.SIM_SEED ?? 20_260_122)

const tuning = { frameCapacityBytes: 8 * 1024, segmentBytes: 24 * 1024, readBytesMax: 64 * 1024, shardFramesMax: 4 }
const marker = 'what the guest wrote and nobody else may read'

const newWorld = () => {
  const random = seededRandom(seed)
  const wrapper = createFakeKeyWrapper()
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  return { random, wrapper, ...stores, keys: createVaultKeys({ ...stores, wrappers: onlyWrapper(wrapper) }) }
}

let world: ReturnType<typeof newWorld>
beforeEach(() => {
  world = newWorld()
})

const keysWith = (wrappers: KeyWrappers): VaultKeys => createVaultKeys({ ...world, wrappers })

/** The disk after some writes, backed up under the current data key. */
const orderOf = async (recoveryPointId: string, before: Buffer, base: RecoveryPoint | null): Promise<BackupOrder> => {
  const { bytes, ranges } = applyWrites(before, randomWrites(world.random, before.length, 20))
  bytes.write(marker, 4096)
  const disk = { disk: 'os', bytes, ranges: base === null ? allocatedRanges(bytes) : ranges }
  const encoding = { compression: 'zstd' as const, key: await world.keys.current() }
  return { recoveryPointId, base, disks: [disk], rangesPerSlice: 8, tuning, encoding }
}

const restored = async (recoveryPoint: RecoveryPoint, keys: VaultKeys): Promise<Buffer> =>
  restoreDisk(world.vault, recoveryPoint, 'os', mib, await keys.ring())

const faultOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error) => (error instanceof VaultError ? error.fault.code : (error as Error).name),
  )

describe('an encrypted vault', () => {
  it('restores recovery points of before and after both rotations', async () => {
    const first = await orderOf('r1', Buffer.alloc(mib / 2), null)
    const r1 = await backUp(world, first)
    await world.keys.rotateDataKey()
    const second = await orderOf('r2', first.disks[0]!.bytes, r1)
    const r2 = await backUp(world, second)
    expect(r1.keyId).not.toBe(r2.keyId)
    const keyIds = [...world.vault.objects]
      .filter(([name]) => name.startsWith('segments/'))
      .flatMap(([name, { bytes }]) => framesIn(name, Buffer.from(bytes)).map(({ sealed }) => sealed?.keyId))
    expect(new Set(keyIds)).toEqual(new Set([r1.keyId, r2.keyId]))
    world.wrapper.rotate()
    await world.keys.rotateWrappingKey()
    world.wrapper.forgetOld()
    const keys = keysWith(onlyWrapper(world.wrapper))
    expect((await restored(r1, keys)).equals(first.disks[0]!.bytes)).toBe(true)
    expect((await restored(r2, keys)).equals(second.disks[0]!.bytes)).toBe(true)
  })

  it('goes on where encryption begins, and where it ends', async () => {
    const plain = await orderOf('r1', Buffer.alloc(mib / 2), null)
    const r1 = await backUp(world, { ...plain, encoding: { compression: 'zstd', key: null } })
    const sealed = await orderOf('r2', plain.disks[0]!.bytes, r1)
    const r2 = await backUp(world, sealed)
    const open = await orderOf('r3', sealed.disks[0]!.bytes, r2)
    const r3 = await backUp(world, { ...open, encoding: { compression: 'none', key: null } })
    expect([r1.keyId === null, r2.keyId === null, r3.keyId === null]).toEqual([true, false, true])
    expect((await restored(r3, world.keys)).equals(open.disks[0]!.bytes)).toBe(true)
    expect((await restored(r1, keysWith(noWrappers))).equals(plain.disks[0]!.bytes)).toBe(true)
    expect(await faultOf(restored(r3, keysWith(noWrappers)))).toBe('key-locked')
  })

  it('holds neither what the guest wrote nor a data key, in any object', async () => {
    const order = await orderOf('r1', Buffer.alloc(mib / 2), null)
    await backUp(world, { ...order, encoding: { compression: 'none', key: await world.keys.current() } })
    const key = Buffer.from((await world.keys.current())!.bytes)
    const needles = [
      Buffer.from(marker),
      key,
      ...(['hex', 'base64', 'base64url'] as const).map((as) => Buffer.from(key.toString(as))),
    ]
    for (const store of [world.vault, world.control])
      for (const [name, { bytes }] of store.objects)
        for (const needle of needles) expect(Buffer.from(bytes).includes(needle), name).toBe(false)
  })

  it('tells a key that is missing, one that is locked, and a wrapping key of another vault', async () => {
    const r1 = await backUp(world, await orderOf('r1', Buffer.alloc(mib / 2), null))
    const refusing: FakeKeyWrapper = createFakeKeyWrapper('key-file')
    refusing.failure = { kind: 'refused', key: 'kek' }
    expect(await faultOf(restored(r1, keysWith(onlyWrapper(refusing))))).toBe('key-locked')
    expect(await faultOf(restored(r1, keysWith(onlyWrapper(createFakeKeyWrapper()))))).toBe('key-locked')
    expect(await faultOf(restored(r1, keysWith(onlyWrapper(createFakeKeyWrapper('key-vault')))))).toBe('key-locked')
    world.vault.objects.delete(`keys/${r1.keyId}/0001.json`)
    expect(await faultOf(restored(r1, keysWith(onlyWrapper(world.wrapper))))).toBe('key-missing')
  })

  it('finds damage without any key, and does not take it for a wrong key', async () => {
    const r1 = await backUp(world, await orderOf('r1', Buffer.alloc(mib / 2), null))
    const name = [...world.vault.objects.keys()].find((one) => one.startsWith('segments/r1/os/'))!
    const bytes = Buffer.from(world.vault.objects.get(name)!.bytes)
    const [frame] = framesIn(name, bytes)
    bytes[frame!.headerBytes + 9]! ^= 1
    world.vault.objects.set(name, { bytes, etag: '"1"' })
    for (const keys of [world.keys, keysWith(noWrappers)])
      expect(await faultOf(restored(r1, keys))).toBe('digest-mismatch')
  })
})

/** What must never come twice, whatever run it comes from: one frame key with one nonce. */
const reusedNonces = (written: readonly WrittenFrame[]): string[] => {
  const names = written.map(({ sealed, birth }) => {
    const { recoveryPointId, disk, slice, attempt } = birth
    return `${sealed?.keyId} ${recoveryPointId} ${disk} ${slice} ${attempt} ${sealed?.nonce.toString('hex')}`
  })
  return names.filter((name, index) => names.indexOf(name) !== index)
}

describe(`the nonces of an encrypted vault (seed ${seed})`, () => {
  const onceMore = () => ({ ...world, vault: world.vault.reopen(), control: world.control.reopen() })

  it('are used once under one frame key, through crashes at every call, retries and twins', async () => {
    const order = await orderOf('r1', Buffer.alloc(mib / 4), null)
    const written: WrittenFrame[] = []
    const run = async (failAt: number): Promise<'done' | 'crashed'> => {
      const stores = onceMore()
      noteWrittenFrames(stores.vault, written)
      let calls = 0
      const fault = () => (++calls === failAt ? ('crashAfter' as const) : null)
      stores.vault.fault = fault
      stores.control.fault = fault
      return backUp(stores, order).then(
        () => 'done',
        (error) => {
          if (error instanceof SimulatedCrash) return 'crashed'
          throw error
        },
      )
    }
    let failAt = 0
    for (let outcomes = ['crashed']; outcomes.includes('crashed'); ) {
      failAt += 1
      world = { ...world, vault: createMemoryBlobStore(), control: createMemoryBlobStore() }
      outcomes = await Promise.all([run(failAt), run(failAt + 1)])
      expect(await run(0)).toBe('done')
    }
    expect(failAt).toBeGreaterThan(20)
    expect(written.length).toBeGreaterThan(200)
    expect(new Set(written.map(({ birth }) => birth.attempt)).size).toBeGreaterThan(2)
    expect(reusedNonces(written)).toEqual([])
    expect(written.every(({ sealed }) => sealed?.keyId === order.encoding?.key?.keyId)).toBe(true)
  })

  it('differ even where an attempt number is given again, as its marker was lost', async () => {
    const order = await orderOf('r1', Buffer.alloc(mib / 4), null)
    const changed = {
      ...order,
      disks: [{ ...order.disks[0]!, bytes: Buffer.from(order.disks[0]!.bytes).fill(7, 4096, 4096 + 512) }],
    }
    const written: WrittenFrame[] = []
    for (const one of [order, changed]) {
      const stores = onceMore()
      noteWrittenFrames(stores.vault, written)
      stores.vault.fault = ({ operation, name }) =>
        operation === 'create' && name.startsWith('slices/') ? 'crashBefore' : null
      await expect(backUp(stores, one)).rejects.toThrow(SimulatedCrash)
      for (const name of world.control.objects.keys())
        if (name.startsWith('attempts/')) world.control.objects.delete(name)
      for (const name of world.vault.objects.keys()) if (name.startsWith('segments/')) world.vault.objects.delete(name)
    }
    expect(new Set(written.map(({ birth }) => birth.attempt))).toEqual(new Set([1]))
    expect(new Set(written.map(({ digest }) => digest.toString('hex'))).size).toBe(written.length)
    expect(reusedNonces(written)).toEqual([])
  })
})

describe('an attempt number that was given twice, as its marker was lost', () => {
  it.each([true, false])(
    'never brings frames of one run under the index of another: encrypted %s',
    async (isEncrypted) => {
      const given = await orderOf('r1', Buffer.alloc(mib / 4), null)
      const key = isEncrypted ? await world.keys.current() : null
      const encoding = { compression: 'none' as const, key }
      const bytes = Buffer.from(given.disks[0]!.bytes)
      bytes.write(marker.toUpperCase(), 4096)
      const dying = { ...world, vault: world.vault.reopen() }
      dying.vault.fault = ({ operation, name }) =>
        operation === 'create' && name.startsWith('slices/') ? 'crashBefore' : null
      const other = { ...given, encoding, disks: [{ ...given.disks[0]!, bytes }] }
      await expect(backUp(dying, other)).rejects.toThrow(SimulatedCrash)
      for (const name of world.control.objects.keys())
        if (name.startsWith('attempts/')) world.control.objects.delete(name)
      await expect(backUp(world, { ...given, encoding })).rejects.toThrow('was written by another run')
      const point = await backUp(world, { ...given, encoding })
      expect((await restored(point, world.keys)).equals(given.disks[0]!.bytes)).toBe(true)
    },
  )
})

describe('the keys of the golden vaults', () => {
  const vectors = join(import.meta.dirname, '..', 'golden', 'vectors', 'v1')

  it.each(['encrypted', 'encrypted-zstd'])('are opened with their key file: %s', async (kind) => {
    const { vault, control } = await loadGoldenVault(join(vectors, kind))
    const wrapper = createKeyFileWrapper(join(vectors, kind, 'key-file.txt'))
    const keys = createVaultKeys({ vault, control, clock: virtualClock(), wrappers: onlyWrapper(wrapper) })
    for (const recoveryPointId of ['r1', 'r2', 'r3']) {
      const found = await readRecoveryPoint(vault, { vmKey, recoveryPointId })
      const bytes = await restoreDisk(vault, found!.recoveryPoint, 'os', mib, await keys.ring())
      expect(bytes).toHaveLength(found!.recoveryPoint.disks[0]!.sizeBytes)
    }
  })

  it('are not opened with another key file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'other-key-'))
    await writeFile(join(folder, 'key-file.txt'), `${'ab'.repeat(32)}\n`)
    const { vault, control } = await loadGoldenVault(join(vectors, 'encrypted'))
    const wrapper = createKeyFileWrapper(join(folder, 'key-file.txt'))
    const keys = createVaultKeys({ vault, control, clock: virtualClock(), wrappers: onlyWrapper(wrapper) })
    const found = await readRecoveryPoint(vault, { vmKey, recoveryPointId: 'r1' })
    const ring = await keys.ring()
    expect(await faultOf(restoreDisk(vault, found!.recoveryPoint, 'os', mib, ring))).toBe('key-locked')
    await rm(folder, { recursive: true })
  })
})
