import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import { encodeIndexFooter, type FenceKey, footerTailBytes, type IndexTotals } from '../format/index-footer.ts'
import { layerIdOf, sliceIndexName } from '../format/names.ts'
import { releaseMemory } from '../format/release-memory.ts'
import { joinSegmentRanges, type SegmentRange } from '../format/segment-ranges.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import type { DiskPlan } from './disk-plan.ts'
import { readSliceIndex, type SliceIndex } from './slice-index.ts'

/** The slice index of one slice, by what it says of itself. */
export interface SealedSlice {
  readonly attempt: number
  /** Of its footer, hex. */
  readonly digest: string
}

/** What an assembled layer came to. */
export interface AssembledLayer {
  readonly layer: LayerReference
  readonly totals: IndexTotals
  /** Length of the slice indexes it was made of. */
  readonly indexBytes: number
  /** In order. */
  readonly slices: readonly SealedSlice[]
}

/** A layer while it is put together from slice indexes. */
export interface LayerAssembly {
  /** Its bytes: proven shards in order of slice, then the footer. Each is good until the next one is asked for. */
  pieces(): AsyncGenerator<Uint8Array>
  /** Null before all pieces were taken. */
  assembled(): AssembledLayer | null
}

/** What tells a layer's slices. */
export type LayerPlan = Pick<DiskPlan, 'recoveryPointId' | 'disk' | 'slices' | 'sizeBytes'>

/** Puts the layer of a disk together, one slice index in memory at a time.
 * @throws VaultError from `pieces` where a slice index is missing or damaged */
export const assembleLayer = (vault: BlobReader, plan: LayerPlan, options: CallOptions): LayerAssembly => {
  const fences: FenceKey[] = []
  const ranges: SegmentRange[] = []
  const made: SealedSlice[] = []
  let totals = noTotals
  let frameCapacityBytes = 0
  let indexBytes = 0
  let shardBytes = 0
  let footer = Buffer.alloc(0)
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let slice = 0; slice < plan.slices; slice += 1) {
      const index = await requireSliceIndex(vault, plan, slice, options)
      for (const { fence, bytes } of provenShards(index)) {
        fences.push({ ...fence, placeBytes: shardBytes, digest: Buffer.from(fence.digest) })
        shardBytes += bytes.length
        yield bytes
      }
      ranges.push(...index.footer.segmentRanges)
      made.push({ attempt: index.footer.attempt, digest: index.footer.digest })
      totals = plus(totals, index.footer)
      frameCapacityBytes = Math.max(frameCapacityBytes, index.footer.frameCapacityBytes)
      indexBytes += index.bytes.length
      releaseMemory(index.bytes)
    }
    const { recoveryPointId, disk, slices, sizeBytes } = plan
    const head = { kind: 'layer' as const, recoveryPointId, disk, slice: slices, attempt: 0, frameCapacityBytes }
    const segmentRanges = joinSegmentRanges(ranges)
    footer = Buffer.from(encodeIndexFooter({ ...head, diskBytes: sizeBytes, segmentRanges, ...totals }, fences))
    yield footer
  }
  const assembled = () => {
    if (footer.length === 0) return null
    const digest = hexOf(digestBytes(footer.subarray(0, footer.length - footerTailBytes)))
    const lengthBytes = shardBytes + footer.length
    const layer = { layerId: layerIdOf(plan), lengthBytes, footerBytes: footer.length, digest }
    return { layer, totals, indexBytes, slices: made }
  }
  return { pieces, assembled }
}

/** The totals of nothing. */
export const noTotals: IndexTotals = {
  changedBytes: 0,
  readBytes: 0,
  joinedBytes: 0,
  readCalls: 0,
  dataBytes: 0,
  zeroBytes: 0,
  segmentBytes: 0,
  milliseconds: 0,
  frames: 0,
  runs: 0,
}

const plus = (sum: IndexTotals, slice: IndexTotals): IndexTotals => ({
  changedBytes: sum.changedBytes + slice.changedBytes,
  readBytes: sum.readBytes + slice.readBytes,
  joinedBytes: sum.joinedBytes + slice.joinedBytes,
  readCalls: sum.readCalls + slice.readCalls,
  dataBytes: sum.dataBytes + slice.dataBytes,
  zeroBytes: sum.zeroBytes + slice.zeroBytes,
  segmentBytes: sum.segmentBytes + slice.segmentBytes,
  milliseconds: sum.milliseconds + slice.milliseconds,
  frames: sum.frames + slice.frames,
  runs: sum.runs + slice.runs,
})

const requireSliceIndex = async (
  vault: BlobReader,
  plan: LayerPlan,
  slice: number,
  options: CallOptions,
): Promise<SliceIndex> => {
  const key = { recoveryPointId: plan.recoveryPointId, disk: plan.disk, slice }
  const index = await readSliceIndex(vault, key, options)
  if (index === null) throw new VaultError({ code: 'object-missing', name: sliceIndexName(key) })
  return index
}

/** @throws VaultError */
export function* provenShards(index: SliceIndex): Generator<{ fence: FenceKey; bytes: Uint8Array }> {
  for (let number = 0; number < index.footer.shards; number += 1) {
    const fence = index.footer.fence(number)
    const bytes = index.bytes.subarray(fence.placeBytes, fence.placeBytes + fence.lengthBytes)
    const actual = hexOf(digestBytes(bytes))
    const expected = hexOf(fence.digest)
    if (actual !== expected)
      throw new VaultError({ code: 'digest-mismatch', name: index.name, place: fence.placeBytes, expected, actual })
    yield { fence, bytes }
  }
}
