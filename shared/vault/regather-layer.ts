import type { LayerReference } from '../domain/recovery-point.ts'
import type { SliceKey } from '../format/names.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import type { CallOptions } from '../ports/blob-store.ts'
import { openLayers, shownBy } from './fold-layers.ts'
import { placeOf } from './frame-usage.ts'
import { type DataRun, gatherRuns } from './gather-runs.ts'
import { proveSlice, readSliceRuns } from './prove-slice.ts'
import { type RegatherDeps, writeRegatheredSlice } from './regather-slice.ts'
import { readSliceIndex } from './slice-index.ts'

/** What of one disk's stack is gathered into new frames. */
export interface RegatherRequest {
  /** The compaction's: new frames are born under it. */
  readonly id: string
  readonly disk: string
  /** Newest first. */
  readonly layers: readonly LayerReference[]
  /** Which frames' shown bytes move, as `placeOf` tells them. */
  readonly frames: ReadonlySet<string>
}

/** Where the shown bytes of sparse frames lie after they were gathered. */
export interface Regathered {
  /** Runs of new frames in order of offset; each call reads the slice indexes. Memory: one of them. */
  runs(): AsyncGenerator<readonly PlacedRun[]>
  /** Length of the new segments. */
  readonly storedBytes: number
}

/** Bytes of one slice, held in memory: what a broken run repeats at most. */
const sliceBytes = 32 * 1024 * 1024
const sliceRunsMax = 65_536

/** Gathers what layers show of their sparse frames into new, full frames, slice by slice like a transfer whose source is the vault. Each slice
 * is read back from the store and compared byte by byte with what the layers show there. Key: the compaction's id and the slice: the slices
 * follow from the layers and the frames, so a second run finds those that are committed and only compares them. Memory: one slice and a segment.
 * @throws VaultError where a frame is damaged or a key is missing: nothing refers to what was gathered before */
export const regatherLayer = async (
  deps: RegatherDeps,
  request: RegatherRequest,
  options: CallOptions,
): Promise<Regathered> => {
  const { id, disk } = request
  const layers = await openLayers(deps.vault, request.layers, options)
  const frameCapacityBytes = Math.max(...layers.map(({ footer }) => footer.frameCapacityBytes))
  const diskBytes = Math.max(...layers.map(({ footer }) => footer.diskBytes))
  const keyOf = (slice: number): SliceKey => ({ recoveryPointId: id, disk, slice })
  let slices = 0
  let storedBytes = 0
  for await (const runs of slicesOf(shownBy(deps.vault, layers, options), request.frames)) {
    const key = keyOf(slices)
    if ((await readSliceIndex(deps.vault, key, options)) === null) {
      const shown = await gatherRuns(deps.vault, runs, await deps.keys.ring(), options)
      await writeRegatheredSlice(deps, { key, runs, shown, frameCapacityBytes, diskBytes }, options)
    }
    storedBytes += await proveSlice(deps, key, runs, options)
    slices += 1
  }
  async function* runs(): AsyncGenerator<readonly PlacedRun[]> {
    for (let slice = 0; slice < slices; slice += 1) yield (await readSliceRuns(deps.vault, keyOf(slice), options)).runs
  }
  return { runs, storedBytes }
}

/** The runs of the frames, cut into slices. */
async function* slicesOf(
  runs: AsyncIterable<PlacedRun>,
  frames: ReadonlySet<string>,
): AsyncGenerator<readonly DataRun[]> {
  let slice: DataRun[] = []
  let lengthBytes = 0
  for await (const run of runs) {
    const { frame } = run
    if (frame === null || !frames.has(placeOf(frame))) continue
    if (slice.length === sliceRunsMax || (slice.length > 0 && lengthBytes + run.lengthBytes > sliceBytes)) {
      yield slice
      slice = []
      lengthBytes = 0
    }
    slice.push({ ...run, frame })
    lengthBytes += run.lengthBytes
  }
  if (slice.length > 0) yield slice
}
