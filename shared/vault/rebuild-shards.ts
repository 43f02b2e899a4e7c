import { digestHex, hexOf } from '../format/digest.ts'
import type { FramePlace } from '../format/frame.ts'
import type { IndexFooter } from '../format/index-footer.ts'
import type { SliceKey } from '../format/names.ts'
import { directoryOf } from '../format/segment.ts'
import { type SegmentRange, segmentNamesOf } from '../format/segment-ranges.ts'
import { openShard } from '../format/shard.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import { nullIfUnreadable, VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { createIndexBuilder } from './index-builder.ts'
import { readSliceIndex } from './slice-index.ts'

/** Where a writer ends a shard. */
export interface ShardLimits {
  readonly shardFramesMax: number
  readonly shardRunsMax: number
}

/** Finds shards of a transfer's layer anew, by their digests: in the slice indexes that it was sealed from, else by cutting the directories of
 * its segments as the transfer did. Memory: one slice index, and what was found.
 * @param wanted digests, hex
 * @returns by digest, as many as could be found */
export const findShards = async (
  vault: BlobReader,
  footer: IndexFooter,
  wanted: ReadonlySet<string>,
  limits: ShardLimits,
  options: CallOptions,
): Promise<ReadonlyMap<string, Uint8Array>> => {
  const found = new Map<string, Uint8Array>()
  const take = (shards: Iterable<Uint8Array>): void => {
    for (const bytes of shards) {
      const digest = digestHex(bytes)
      if (wanted.has(digest)) found.set(digest, Uint8Array.from(bytes))
    }
  }
  const own = footer.segmentRanges.filter(
    ({ recoveryPointId, disk }) => recoveryPointId === footer.recoveryPointId && disk === footer.disk,
  )
  for (const range of own) {
    if (found.size === wanted.size) break
    const key = { recoveryPointId: range.recoveryPointId, disk: range.disk, slice: range.slice }
    take((await shardsOfIndex(vault, key, options).catch(nullIfUnreadable)) ?? [])
    if (found.size < wanted.size)
      take((await shardsOfSegments(vault, range, limits, options).catch(nullIfUnreadable)) ?? [])
  }
  return found
}

const shardsOfIndex = async (
  vault: BlobReader,
  key: SliceKey,
  options: CallOptions,
): Promise<readonly Uint8Array[]> => {
  const index = await readSliceIndex(vault, key, options)
  if (index === null) return []
  return Array.from({ length: index.footer.shards }, (_, number) => {
    const { placeBytes, lengthBytes, digest } = index.footer.fence(number)
    const bytes = index.bytes.subarray(placeBytes, placeBytes + lengthBytes)
    return digestHex(bytes) === hexOf(digest) ? bytes : new Uint8Array()
  })
}

/** The runs of a directory are those of the index; what ends a shard is counted anew. */
const shardsOfSegments = async (
  vault: BlobReader,
  range: SegmentRange,
  limits: ShardLimits,
  options: CallOptions,
): Promise<readonly Uint8Array[]> => {
  const builder = createIndexBuilder(limits)
  let runs: PlacedRun[] = []
  let frame: FramePlace | null = null
  /** Zero runs behind a frame's last data belong to the frame that follows. */
  const close = (): void => {
    const end = runs.findLastIndex((run) => run.frame !== null) + 1
    builder.add(runs.slice(0, end).map(plainRun), frame)
    runs = runs.slice(end)
  }
  for (const name of segmentNamesOf([range])) {
    const content = await vault.read(name, options)
    if (content === null) throw new VaultError({ code: 'object-missing', name })
    const { trailer, directory } = directoryOf(content.bytes, name)
    for (const run of openShard(directory, { name, place: trailer.directoryPlaceBytes }).placedRuns()) {
      if (run.frame !== null && run.frame !== frame) {
        if (frame !== null) close()
        frame = run.frame
      }
      runs.push(run)
    }
  }
  if (runs.length > 0) builder.add(runs.map(plainRun), frame)
  return builder.finish().shards
}

const plainRun = ({ offsetBytes, lengthBytes, frame }: PlacedRun) => ({
  offsetBytes,
  lengthBytes,
  isZero: frame === null,
})
