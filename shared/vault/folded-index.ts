import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import type { FramePlace } from '../format/frame.ts'
import { encodeIndexFooter, type FenceKey, footerTailBytes, type IndexHead } from '../format/index-footer.ts'
import { layerIdOf } from '../format/names.ts'
import { createShardBuilder, type PlacedRun } from '../format/shard-builder.ts'
import { noTotals } from './assemble-layer.ts'
import { createSegmentSet } from './segment-set.ts'
import { defaultTuning } from './transfer-tuning.ts'

/** Of which disk the layer is, and which compaction makes it. */
export interface FoldedHead {
  /** The compaction's. */
  readonly id: string
  readonly disk: string
  readonly diskBytes: number
  readonly frameCapacityBytes: number
}

/** A layer while it is put together from runs. */
export interface FoldedIndex {
  /** Its bytes: shards as they fill, then the footer. */
  pieces(): AsyncGenerator<Uint8Array>
  /** Null before all pieces were taken. */
  folded(): LayerReference | null
}

/** Encodes runs as a folded layer (docs/format.md, section 6). Parts of one frame that follow each other on the disk and in the frame become
 * one run, so the bytes follow from the content alone. Memory: one shard, the fence keys and one bit a segment.
 * @param runs in order of offset, not overlapping */
export const foldedIndex = (head: FoldedHead, runs: AsyncIterable<PlacedRun>): FoldedIndex => {
  const builder = createShardBuilder()
  const segments = createSegmentSet()
  const framesOfShard = new Set<FramePlace>()
  const fences: FenceKey[] = []
  const totals = { ...noTotals, dataBytes: 0, zeroBytes: 0, frames: 0, runs: 0 }
  let placeBytes = 0
  let reference: LayerReference | null = null
  const add = (run: PlacedRun): void => {
    builder.addPlaced(run)
    totals[run.frame === null ? 'zeroBytes' : 'dataBytes'] += run.lengthBytes
    if (run.frame === null || framesOfShard.has(run.frame)) return
    framesOfShard.add(run.frame)
    segments.add(run.frame.segment)
  }
  const close = (): Uint8Array | null => {
    const shard = builder.finish()
    if (shard === null) return null
    framesOfShard.clear()
    const { bytes, firstBytes, endBytes, frames } = shard
    fences.push({ firstBytes, endBytes, placeBytes, lengthBytes: bytes.length, frames, digest: digestBytes(bytes) })
    totals.frames += frames
    totals.runs += shard.runs
    placeBytes += bytes.length
    return bytes
  }
  const isFull = (): boolean =>
    builder.frames >= defaultTuning.shardFramesMax || builder.runs >= defaultTuning.shardRunsMax
  const footerOf = (): Buffer => {
    const { id, disk, diskBytes, frameCapacityBytes } = head
    const key = { recoveryPointId: id, disk }
    const fixed = { kind: 'layer' as const, ...key, slice: 0, attempt: 0, diskBytes, frameCapacityBytes }
    const footerHead: IndexHead = { ...fixed, ...totals, segmentRanges: segments.ranges() }
    const footer = encodeIndexFooter(footerHead, fences)
    const digest = hexOf(digestBytes(footer.subarray(0, footer.length - footerTailBytes)))
    const lengthBytes = placeBytes + footer.length
    reference = { layerId: layerIdOf(key), lengthBytes, footerBytes: footer.length, digest }
    return footer
  }
  async function* pieces(): AsyncGenerator<Uint8Array> {
    let pending = null as PlacedRun | null
    for await (const run of runs) {
      if (pending === null) pending = run
      else if (follows(pending, run)) pending = { ...pending, lengthBytes: pending.lengthBytes + run.lengthBytes }
      else {
        add(pending)
        pending = run
        const shard = isFull() ? close() : null
        if (shard !== null) yield shard
      }
    }
    if (pending !== null) add(pending)
    const last = close()
    if (last !== null) yield last
    yield footerOf()
  }
  return { pieces, folded: () => reference }
}

/** A frame that two shards list is two objects: its place tells that it is the same. */
const follows = (before: PlacedRun, run: PlacedRun): boolean => {
  if (before.offsetBytes + before.lengthBytes !== run.offsetBytes) return false
  if (before.frame === null || run.frame === null) return before.frame === run.frame
  const isSame = before.frame.segment === run.frame.segment && before.frame.placeBytes === run.frame.placeBytes
  return isSame && before.framePosition + before.lengthBytes === run.framePosition
}
