import { digestBytes } from '../format/digest.ts'
import { encodeIndexFooter, type FenceKey, type IndexTotals } from '../format/index-footer.ts'
import { type SliceKey, segmentName } from '../format/names.ts'
import { directoryOf } from '../format/segment.ts'
import { openShard } from '../format/shard.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'

/** A slice index made again from the segments of one attempt, for a vault whose slice index or layer was lost. What only the lost index
 * knew is zero: read and joined bytes, requests, time. The frames themselves are not read beyond their segment's directory.
 * @param attempt one whose last segment is there; which attempt counted, the lost index alone knew, and all complete ones are equal in
 * content
 * @returns the bytes of a slice index: shards, then a footer
 * @throws VaultError `object-missing` where a segment is missing before the one marked as the last */
export const rebuildSliceIndex = async (
  vault: BlobReader,
  key: SliceKey,
  of: { readonly attempt: number; readonly diskBytes: number; readonly frameCapacityBytes: number },
  options: CallOptions = {},
): Promise<Uint8Array> => {
  const shards: Uint8Array[] = []
  const fences: FenceKey[] = []
  const counted = { dataBytes: 0, zeroBytes: 0, frames: 0, runs: 0, segmentBytes: 0 }
  let placeBytes = 0
  for (let n = 0; ; n += 1) {
    const name = segmentName(key, of.attempt, n)
    const content = await vault.read(name, options)
    if (content === null) throw new VaultError({ code: 'object-missing', name })
    const { trailer, directory } = directoryOf(content.bytes, name)
    const shard = openShard(directory, { name, place: trailer.directoryPlaceBytes })
    for (const run of shard.placedRuns()) counted[run.frame === null ? 'zeroBytes' : 'dataBytes'] += run.lengthBytes
    const { firstBytes, endBytes, frames } = shard
    const lengthBytes = directory.length
    fences.push({ firstBytes, endBytes, placeBytes, lengthBytes, frames, digest: digestBytes(directory) })
    shards.push(directory)
    placeBytes += lengthBytes
    counted.frames += frames
    counted.runs += shard.runs
    counted.segmentBytes += content.bytes.length
    if (trailer.isLast) break
  }
  const unknown = { readBytes: 0, joinedBytes: 0, readCalls: 0, milliseconds: 0 }
  const changedBytes = counted.dataBytes + counted.zeroBytes
  const totals: IndexTotals = { ...counted, ...unknown, changedBytes }
  const segmentRanges = [{ ...key, attempt: of.attempt, firstN: 0, lastN: shards.length - 1 }]
  const footer = encodeIndexFooter({ kind: 'slice', ...key, ...of, segmentRanges, ...totals }, fences)
  return Buffer.concat([...shards, footer])
}
