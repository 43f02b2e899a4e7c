import type { RecoveryPoint, SidecarReference } from '../../shared/domain/recovery-point.ts'
import { type KeyRing, keyRingOf } from '../../shared/format/data-key.ts'
import { recoveryPointName } from '../../shared/format/names.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { type BlobContent, type BlobReader, StorageError } from '../../shared/ports/blob-store.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { createSealed } from '../../shared/vault/objects.ts'
import { merkleRootOf } from '../../shared/vault/recovery-point-schema.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { applyWrites, type DiskWrite } from './disk-history.ts'
import { foldStack } from './fold-stack.ts'
import { goldenKeyRecords, goldenKeys } from './golden-keys.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from './memory-blob-store.ts'
import { seededRandom } from './seeded-random.ts'
import { addSidecar } from './sidecar-read-back.ts'
import { backUp, restoreDisk, type Stores, vmKey } from './vault-world.ts'
import { virtualClock } from './virtual-clock.ts'

/** The smallest vaults that have every kind of object, for tests that damage each byte of them. */
export const smallKinds = ['raw', 'zstd', 'encrypted'] as const
export type SmallKind = (typeof smallKinds)[number]

export interface SmallVault {
  readonly kind: SmallKind
  readonly objects: ReadonlyMap<string, Uint8Array>
  /** What each recovery point restores to. */
  readonly images: ReadonlyMap<string, Buffer>
  readonly keys: KeyRing
}

const tuning = { frameCapacityBytes: 2048, segmentBytes: 5000, shardFramesMax: 2 }
const diskBytes = 64 * 1024

/** r1: a full with a sidecar. r2: an increment on a folded layer. r3: an increment that is not compacted. r4: it has expired. r5: it was fenced.
 * @param seed of what the disks hold; how it is laid out is the same with each */
export const makeSmallVault = async (kind: SmallKind, seed = 7): Promise<SmallVault> => {
  const random = seededRandom(seed)
  const data = (sector: number, sectors: number): DiskWrite => {
    const bytes =
      kind === 'raw' ? random.bytes(sectors * 512) : Buffer.alloc(sectors * 512, `text ${random.below(99)} `)
    return { kind: 'data', offsetBytes: sector * 512, bytes }
  }
  const clear: DiskWrite = { kind: 'clear', offsetBytes: 40 * 512, lengthBytes: 512 }
  const key = kind === 'encrypted' ? goldenKeys.current : null
  const keys = keyRingOf(key === null ? [] : [key])
  const encoding = { compression: kind === 'raw' ? ('none' as const) : ('zstd' as const), key }
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const drawNonce = () => Buffer.alloc(8, random.below(256))
  const images = new Map<string, Buffer>()
  let bytes: Buffer = Buffer.alloc(diskBytes)
  const step = async (recoveryPointId: string, base: RecoveryPoint | null, writes: readonly DiskWrite[]) => {
    const disk = applyWrites(bytes, writes)
    bytes = disk.bytes
    images.set(recoveryPointId, bytes)
    return backUp(stores, { recoveryPointId, base, disks: [{ disk: 'os', ...disk }], tuning, encoding, drawNonce })
  }
  const first = await step('r1', null, [data(0, 8), data(40, 3), data(64, 1)])
  const second = await step('r2', first, [data(2, 1), data(41, 1)])
  const third = await step('r3', first, [clear, data(2, 1), data(41, 1), data(90, 1)])
  await step('r4', third, [data(12, 1)])
  images.delete('r4')
  await revise(stores, second, { stack: [await foldStack(stores.vault, second.disks[0] ?? unreachable())] })
  const layer = first.disks[0]?.stack[0] ?? unreachable()
  const of = { recoveryPointId: 'r1', disk: 'os' }
  await revise(stores, first, { sidecar: await addSidecar(stores.vault, of, { layer, sizeBytes: diskBytes, key }) })
  const decided = (recoveryPointId: string, revision: number, what: object) =>
    createSealed(
      stores.vault,
      recoveryPointName(vmKey, recoveryPointId, revision),
      { format: 1, ...what, recoveryPointId, revision, vmKey },
      {},
    )
  await decided('r4', 2, { expired: true })
  await decided('r5', 1, { aborted: true })
  if (key !== null) for (const [name, record] of goldenKeyRecords()) await stores.vault.create(name, [record])
  const objects = new Map([...stores.vault.objects].map(([name, content]) => [name, content.bytes]))
  for (const name of objects.keys()) if (isOfExpired(name)) objects.delete(name)
  return { kind, objects, images, keys }
}

/** As a collection would, but for the revision that says so. */
const isOfExpired = (name: string): boolean => name.includes('/r4/') && !name.endsWith('/0002.json')

/** True for what a recovery point needs, or what tells that one has ended. Slice indexes, layers that others stand for, and other keys are not
 * read. */
export const isNeeded = (name: string): boolean =>
  !name.startsWith('slices/') && !name.startsWith(`keys/${goldenKeys.first.keyId}/`) && name !== 'layers/r2/os'

const revise = async (
  { vault }: Stores,
  point: RecoveryPoint,
  change: { readonly stack?: RecoveryPoint['disks'][number]['stack']; readonly sidecar?: SidecarReference | null },
): Promise<void> => {
  const disks = point.disks.map((disk) => ({ ...disk, ...change }))
  const record = { ...point, revision: 2, merkleRoot: merkleRootOf(disks), disks }
  await createSealed(vault, recoveryPointName(vmKey, point.recoveryPointId, 2), record, {})
}

const unreachable = (): never => {
  throw new Error('the small vault has one disk with one layer')
}

/** Objects with some changed or gone. */
export const withChanges = (
  objects: ReadonlyMap<string, Uint8Array>,
  changes: Readonly<Record<string, Uint8Array | null>>,
): ReadonlyMap<string, Uint8Array> => {
  const changed = new Map(objects)
  for (const [name, bytes] of Object.entries(changes)) {
    if (bytes === null) changed.delete(name)
    else changed.set(name, bytes)
  }
  return changed
}

/** Reads them under the contract of the store, without its faults and its paging. */
export const readerOf = (objects: ReadonlyMap<string, Uint8Array>): BlobReader => {
  const names = [...objects.keys()].sort()
  const contentOf = (name: string): BlobContent | null => {
    const bytes = objects.get(name)
    return bytes === undefined ? null : { bytes: Buffer.from(bytes), etag: 'small' }
  }
  return {
    read: async (name) => contentOf(name),
    readRange: async (name, offsetBytes, lengthBytes) => {
      const content = contentOf(name)
      if (content === null) return null
      if (offsetBytes + lengthBytes > content.bytes.length) throw new StorageError({ code: 'short-object', name })
      return content.bytes.subarray(offsetBytes, offsetBytes + lengthBytes)
    },
    async *list(prefix) {
      for (const name of names)
        if (name.startsWith(prefix)) yield { name, lengthBytes: objects.get(name)?.length ?? 0, etag: 'small' }
    },
  }
}

export type RestoreOutcome = 'right' | 'wrong' | 'absent' | VaultError

/** Restores the recovery point's disk. A restore has only these ways to end; all else is thrown. */
export const restoreOutcome = async (
  vault: BlobReader,
  { images, keys }: Pick<SmallVault, 'images' | 'keys'>,
  recoveryPointId: string,
): Promise<RestoreOutcome> => {
  try {
    const found = await readRecoveryPoint(vault, { vmKey, recoveryPointId })
    if (found === null) return 'absent'
    const bytes = await restoreDisk(vault, found.recoveryPoint, 'os', 64 * 1024 * 1024, keys)
    return bytes.equals(images.get(recoveryPointId) ?? Buffer.alloc(0)) ? 'right' : 'wrong'
  } catch (error) {
    if (error instanceof VaultError) return error
    throw error
  }
}

export const unlimited = { bytesMax: Infinity, callsMax: Infinity, vmBytesMax: Infinity, checkedBefore: null }

/** Names of what a whole check finds damaged. */
export const scrubbedNames = async (
  vault: BlobReader,
  control: MemoryBlobStore = createMemoryBlobStore(),
): Promise<readonly string[]> => {
  await scrubVault({ vault, control, clock: virtualClock() }, unlimited)
  return (await damageOf(control, vmKey)).map(({ name }) => name)
}
