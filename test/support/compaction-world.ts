import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { layerName, recoveryPointName } from '../../shared/format/names.ts'
import { segmentNamesOf } from '../../shared/format/segment-ranges.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { parseVaultName } from '../../shared/format/vault-name.ts'
import { openLayer } from '../../shared/vault/layer-reader.ts'
import { createSealed } from '../../shared/vault/objects.ts'
import { listLiveRecoveryPoints, listRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { createVaultKeys, type VaultKeys } from '../../shared/vault/vault-keys.ts'
import { applyWrites, type DiskWrite } from './disk-history.ts'
import { createFakeKeyWrapper, onlyWrapper } from './fake-key-wrapper.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from './memory-blob-store.ts'
import type { SeededRandom } from './seeded-random.ts'
import { backUp, type DiskAtBackup, restoreDisk, vmKey } from './vault-world.ts'
import { virtualClock } from './virtual-clock.ts'

export interface CompactionWorld {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  /** What backups are made under, where they are encrypted. */
  readonly keys?: VaultKeys
}

export const compactionWorld = (): CompactionWorld => ({
  vault: createMemoryBlobStore(),
  control: createMemoryBlobStore(),
})

/** Its keys are opened through doors of their own. */
export const encryptedWorld = (wrappers = onlyWrapper(createFakeKeyWrapper())): CompactionWorld => {
  const world = compactionWorld()
  return { ...world, keys: createVaultKeys({ ...reopen(world), clock: virtualClock(), wrappers }) }
}

export const reopen = (world: CompactionWorld): CompactionWorld => ({
  ...world,
  vault: world.vault.reopen(),
  control: world.control.reopen(),
})

/** Small frames and segments, so that a small disk has many of both. */
export const tinyTuning = {
  frameCapacityBytes: 16 * 1024,
  segmentBytes: 64 * 1024,
  readBytesMax: 64 * 1024,
  shardFramesMax: 8,
}

/** What one recovery point must restore to, by disk. */
export type Truth = ReadonlyMap<string, Buffer>

/** Backs up the disks after some writes; full where there is no base. Tells what the new recovery point must restore to. */
export const backUpWrites = async (
  world: CompactionWorld,
  of: {
    readonly recoveryPointId: string
    readonly base: RecoveryPoint | null
    readonly before: Truth
    /** Tiny where absent. */
    readonly frameCapacityBytes?: number
  },
  writesTo: (disk: string, sizeBytes: number) => readonly DiskWrite[],
): Promise<{ readonly point: RecoveryPoint; readonly truth: Truth }> => {
  const disks: DiskAtBackup[] = []
  for (const [disk, before] of of.before) {
    const { bytes, ranges } = applyWrites(before, writesTo(disk, before.length))
    const all = [{ offsetBytes: 0, lengthBytes: bytes.length, kind: 'data' as const }]
    disks.push({ disk, bytes, ranges: of.base === null ? all : ranges })
  }
  const stores = { ...world, clock: virtualClock() }
  const { recoveryPointId, base, frameCapacityBytes = tinyTuning.frameCapacityBytes } = of
  const encoding = { compression: 'zstd' as const, key: (await world.keys?.current()) ?? null }
  const tuning = { ...tinyTuning, frameCapacityBytes }
  const point = await backUp(stores, { recoveryPointId, base, disks, rangesPerSlice: 40, tuning, encoding })
  return { point, truth: new Map(disks.map(({ disk, bytes }) => [disk, bytes])) }
}

/** Single pages of random bytes, a few of zeros, a few cleared stretches; most in the first eighth of the disk, as on a disk in use. */
export const pageWrites = (random: SeededRandom, sizeBytes: number, count: number): readonly DiskWrite[] =>
  Array.from({ length: count }, (): DiskWrite => {
    const pages = sizeBytes / 4096
    const offsetBytes = random.below(random.below(4) === 0 ? pages : pages / 8) * 4096
    const kind = random.below(12)
    if (kind === 0) return { kind: 'clear', offsetBytes, lengthBytes: Math.min(16 * 4096, sizeBytes - offsetBytes) }
    return { kind: 'data', offsetBytes, bytes: kind === 1 ? Buffer.alloc(4096) : random.bytes(4096) }
  })

/** Ends a recovery point by its next revision; false where another revision came first. */
export const expire = async (world: CompactionWorld, recoveryPointId: string): Promise<boolean> => {
  for await (const listed of listRecoveryPoints(world.vault, vmKey)) {
    if (listed.recoveryPointId !== recoveryPointId) continue
    const revision = listed.revision + 1
    const record = { format: 1, expired: true, recoveryPointId, revision, vmKey }
    return (
      (await createSealed(world.vault, recoveryPointName(vmKey, recoveryPointId, revision), record, {})) === 'created'
    )
  }
  return false
}

/** Removes every layer, slice index and segment that no live recovery point needs. For moments at which nothing else runs.
 * @returns how many objects went */
export const collectUnreachable = async ({ vault }: CompactionWorld): Promise<number> => {
  const needed = await reachable(vault)
  let removed = 0
  for (const name of [...vault.objects.keys()]) {
    const parsed = parseVaultName(name)
    if (parsed.kind !== 'layer' && parsed.kind !== 'slice' && parsed.kind !== 'segment') continue
    if (needed.has(parsed.kind === 'slice' ? layerName(`${parsed.id}/${parsed.disk}`) : name)) continue
    vault.objects.delete(name)
    removed += 1
  }
  return removed
}

/** Names of the layers and segments that live recovery points need. */
export const reachable = async (vault: MemoryBlobStore): Promise<ReadonlySet<string>> => {
  const names = new Set<string>()
  for await (const { recoveryPoint } of listLiveRecoveryPoints(vault, vmKey))
    for (const reference of recoveryPoint.disks.flatMap(({ stack }) => stack)) {
      if (names.has(layerName(reference.layerId))) continue
      names.add(layerName(reference.layerId))
      const { footer } = await openLayer(vault, reference, {})
      for (const name of segmentNamesOf(footer.segmentRanges)) names.add(name)
    }
  return names
}

/** Restores every live recovery point and compares it with the truth.
 * @throws Error naming the first that differs */
export const expectExact = async (
  world: CompactionWorld,
  truths: ReadonlyMap<string, Truth>,
  label: string,
): Promise<void> => {
  const live = new Set<string>()
  const keys = await world.keys?.ring()
  for await (const { recoveryPoint } of listLiveRecoveryPoints(world.vault, vmKey)) {
    live.add(recoveryPoint.recoveryPointId)
    for (const [disk, bytes] of truths.get(recoveryPoint.recoveryPointId) ?? [])
      if (!(await restoreDisk(world.vault, recoveryPoint, disk, undefined, keys)).equals(bytes))
        throw new Error(`${recoveryPoint.recoveryPointId}/${disk} is not what it was: ${label}`)
  }
  for (const recoveryPointId of truths.keys())
    if (!live.has(recoveryPointId)) throw new Error(`${recoveryPointId} is gone: ${label}`)
}

/** A compaction may find that another run of it has ended, and that what it still reads or writes is gone or another's: it fails and changes nothing. */
export const isOvertaken = (error: unknown): boolean => {
  if (error instanceof VaultError) return error.fault.code === 'object-missing'
  return error instanceof Error && error.message.includes('was written by another run')
}
