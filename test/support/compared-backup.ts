import type { LayerReference, SidecarReference } from '../../shared/domain/recovery-point.ts'
import { type DataKey, keyRingOf } from '../../shared/format/data-key.ts'
import type { ControlStore } from '../../shared/ports/blob-store.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import { withHolesCleared } from '../../shared/vault/compare-ranges.ts'
import { type Comparison, layersBelow } from '../../shared/vault/comparison.ts'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { type SealedDisk, sealDisk } from '../../shared/vault/seal-disk.ts'
import { openStack, readStack } from '../../shared/vault/stack.ts'
import { transferSlice } from '../../shared/vault/transfer-slice.ts'
import type { TransferTuning } from '../../shared/vault/transfer-tuning.ts'
import { writeSidecar } from '../../shared/vault/write-sidecar.ts'
import { allocatedRanges } from './disk-history.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from './memory-blob-store.ts'
import { memoryDiskReader } from './memory-disk.ts'
import { virtualClock } from './virtual-clock.ts'

export interface CompareWorld {
  readonly vault: MemoryBlobStore & ControlStore
  readonly control: MemoryBlobStore & ControlStore
  readonly clock: Clock
  /** The key for new frames; null: they are not encrypted. */
  readonly key: DataKey | null
}

export const openCompareWorld = (key: DataKey | null = null): CompareWorld => ({
  vault: createMemoryBlobStore(),
  control: createMemoryBlobStore(),
  clock: virtualClock(),
  key,
})

export interface ComparedBackup {
  readonly recoveryPointId: string
  readonly bytes: Buffer
  /** What it is compared with; all is stored where null. */
  readonly comparison: Comparison | null
  readonly sliceBytes?: number
  readonly tuning?: Partial<TransferTuning>
  /** Called when the plan is made and no slice is moved. */
  readonly afterPlan?: () => void
}

/** A full transfer of a disk that lists what is not all zeros as allocated. */
export const backUpCompared = async (world: CompareWorld, order: ComparedBackup): Promise<SealedDisk> => {
  const { recoveryPointId, bytes, comparison, tuning = {} } = order
  const key = { recoveryPointId, disk: 'os' }
  const source = memoryDiskReader(bytes, allocatedRanges(bytes))
  const stack = comparison === null ? [] : layersBelow(comparison)
  const reader = withHolesCleared(source, await openStack(world.vault, { stack, sizeBytes: bytes.length }), 0)
  const comparedWith = comparison?.kind ?? null
  const { slices } = await planDisk(
    { ...world, reader },
    { ...key, hasBase: false, comparedWith, sliceBytes: order.sliceBytes ?? 1024 * 1024 },
  )
  order.afterPlan?.()
  const encoding = { compression: 'zstd' as const, key: world.key }
  const compared = comparison === null ? {} : { comparison, comparisonKeys: keysOf(world) }
  for (let slice = 0; slice < slices; slice += 1)
    await transferSlice(
      { ...world, reader: source },
      { ...key, jobId: 'job', slice, encoding, tuning, isOfImage: true, ...compared },
    )
  return sealDisk(world, { ...key, parentStack: stack, fullReason: 'first-backup' })
}

/** Gives the one layer of a disk its sidecar. */
export const sidecarOf = async (
  world: CompareWorld,
  recoveryPointId: string,
  { layer, slices }: Pick<SealedDisk, 'layer' | 'slices'>,
): Promise<SidecarReference | null> => {
  if (layer === null) throw new Error('the disk has no layer')
  return writeSidecar(world, { recoveryPointId, disk: 'os', layer, slices, keyId: world.key?.keyId ?? null })
}

/** The whole disk as the stack shows it. */
export const readDisk = async (
  world: CompareWorld,
  stack: readonly LayerReference[],
  sizeBytes: number,
): Promise<Buffer> => {
  const bytes = Buffer.alloc(sizeBytes)
  const open = await openStack(world.vault, { stack, sizeBytes }, { keys: keyRingOf(keysOf(world)) })
  for await (const part of readStack(open, { offsetBytes: 0, lengthBytes: sizeBytes }))
    if (part.bytes !== null) bytes.set(part.bytes, part.offsetBytes)
  return bytes
}

const keysOf = ({ key }: CompareWorld): readonly DataKey[] => (key === null ? [] : [key])
