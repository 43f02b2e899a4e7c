import { type SliceKey, sliceIndexName } from '../format/names.ts'
import { openShard } from '../format/shard.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { provenShards } from './assemble-layer.ts'
import { type DataRun, gatherRuns, shownOf, visitFrames } from './gather-runs.ts'
import type { RegatherKeys } from './regather-keys.ts'
import { readSliceIndex } from './slice-index.ts'

/** The slice as it is stored shows exactly what the runs show, byte by byte, at exactly these places of the disk, whoever wrote it. Both are read
 * from the store, each frame once. Memory: the slice's bytes.
 * @param shown in order of offset
 * @returns length of its segments
 * @throws VaultError `twin-differs` where it does not */
export const proveSlice = async (
  deps: { readonly vault: BlobReader; readonly keys: RegatherKeys },
  key: SliceKey,
  shown: readonly DataRun[],
  options: CallOptions,
): Promise<number> => {
  const keys = await deps.keys.ring()
  const stored = await readSliceRuns(deps.vault, key, options)
  const differs = new VaultError({ code: 'twin-differs', name: sliceIndexName(key) })
  if (placesOf(stored.runs) !== placesOf(shown)) throw differs
  const { bytes } = await gatherRuns(deps.vault, stored.runs, keys, options)
  const find = finder(stored.runs)
  let leftBytes = bytes.length
  const compare = ({ plain, runs }: { readonly plain: Uint8Array; readonly runs: readonly DataRun[] }): void => {
    for (const run of runs) {
      const at = find(run.offsetBytes)
      if (Buffer.compare(bytes.subarray(at, at + run.lengthBytes), shownOf(plain, run)) !== 0) throw differs
      leftBytes -= run.lengthBytes
    }
  }
  await visitFrames(deps.vault, shown, keys, compare, options)
  if (leftBytes !== 0) throw differs
  return stored.segmentBytes
}

/** The runs of a committed slice, all of data.
 * @throws VaultError where the slice is not there, is damaged, or has a run of zeros */
export const readSliceRuns = async (
  reader: BlobReader,
  key: SliceKey,
  options: CallOptions,
): Promise<{ readonly runs: readonly DataRun[]; readonly segmentBytes: number }> => {
  const index = await readSliceIndex(reader, key, options)
  const name = sliceIndexName(key)
  if (index === null) throw new VaultError({ code: 'object-missing', name })
  const { frameCapacityBytes, segmentBytes } = index.footer
  const runs: DataRun[] = []
  for (const { fence, bytes } of provenShards(index))
    for (const run of openShard(bytes, { name, place: fence.placeBytes }, frameCapacityBytes).placedRuns()) {
      const { frame } = run
      if (frame === null) throw new VaultError({ code: 'twin-differs', name })
      runs.push({ ...run, frame })
    }
  return { runs, segmentBytes }
}

/** Which bytes of the disk runs are about, however they are cut. */
const placesOf = (runs: readonly PlacedRun[]): string => {
  const bounds: number[] = []
  for (const { offsetBytes, lengthBytes } of runs) {
    if (bounds.at(-1) === offsetBytes) bounds.pop()
    else bounds.push(offsetBytes)
    bounds.push(offsetBytes + lengthBytes)
  }
  return bounds.join()
}

/** Where the byte at an offset of the disk lies among the bytes that the runs show, one after another. */
const finder = (runs: readonly PlacedRun[]): ((offsetBytes: number) => number) => {
  let lengthBytes = 0
  const ends = runs.map((run) => {
    lengthBytes += run.lengthBytes
    return lengthBytes
  })
  return (offsetBytes) => {
    let low = 0
    let high = runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (endOf(runs[middle]) <= offsetBytes) low = middle + 1
      else high = middle
    }
    return (ends[low] ?? lengthBytes) - (endOf(runs[low]) - offsetBytes)
  }
}

const endOf = (run: PlacedRun | undefined): number =>
  run === undefined ? Number.POSITIVE_INFINITY : run.offsetBytes + run.lengthBytes
