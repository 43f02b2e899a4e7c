import type { LayerReference } from '../domain/recovery-point.ts'
import { segmentName } from '../format/names.ts'
import { decodeSegmentTrailer, segmentTrailerBytes } from '../format/segment.ts'
import { joinSegmentRanges, type SegmentRange, segmentNamesOf } from '../format/segment-ranges.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { openLayers, shownBy } from './fold-layers.ts'
import { openLayer } from './layer-reader.ts'
import { readExactly } from './objects.ts'

/** A layer and the segments it needs. */
export interface IndexedLayer {
  readonly reference: LayerReference
  /** A transfer's own layer names every frame of its segments; a folded one only those that show. */
  readonly isFolded: boolean
  readonly ranges: readonly SegmentRange[]
}

/** A segment of which less than half is needed. */
export interface SparseSegment {
  readonly name: string
  /** Of the frames that layers name, headers included. */
  readonly liveBytes: number
}

/** Reads the footers. @throws VaultError */
export const indexLayers = async (
  reader: BlobReader,
  layers: readonly LayerReference[],
  options: CallOptions,
): Promise<readonly IndexedLayer[]> => {
  const indexed: IndexedLayer[] = []
  for (const reference of layers) {
    const { footer } = await openLayer(reader, reference, options)
    indexed.push({ reference, isFolded: footer.slice === 0, ranges: footer.segmentRanges })
  }
  return indexed
}

/** Segments whose frames are needed by less than half, in order of name, as many as the budget takes but one at least; empty where there are none.
 * Reads the folded layers once for every 8,192 segments that only they name.
 * @param layers all that recovery points of the VM have for one disk
 * @param budgetBytes of live frames
 * @throws VaultError */
export const findSparseSegments = async (
  reader: BlobReader,
  layers: readonly IndexedLayer[],
  budgetBytes: number,
  options: CallOptions,
): Promise<readonly SparseSegment[]> => {
  const folded = layers.filter(({ isFolded }) => isFolded)
  for (const names of inWindows(onlyFolded(layers))) {
    const usages = await usagesOf(reader, folded, names, options)
    const sparse = withinBudget(await sparseOf(reader, usages, options), budgetBytes)
    if (sparse.length > 0) return sparse
  }
  return []
}

/** Bounds the memory of the counts. */
const segmentsPerWindow = 8192
/** Bounds the memory of the directories that moved frames get. */
const runsPerRewriteMax = 400_000

interface Usage {
  readonly name: string
  /** Stored length of each live frame by its place. */
  readonly frames: Map<number, number>
  runs: number
}

/** Names of the segments that folded layers alone need, in order. */
function* onlyFolded(layers: readonly IndexedLayer[]): Generator<string> {
  const whole = new Map<string, SegmentRange[]>()
  for (const range of layers.flatMap((layer) => (layer.isFolded ? [] : layer.ranges)))
    whole.set(attemptOf(range), [...(whole.get(attemptOf(range)) ?? []), range])
  const ranges = joinSegmentRanges(layers.flatMap((layer) => (layer.isFolded ? layer.ranges : [])))
  for (const range of ranges) {
    const covered = whole.get(attemptOf(range)) ?? []
    for (let n = range.firstN; n <= range.lastN; n += 1)
      if (!covered.some(({ firstN, lastN }) => n >= firstN && n <= lastN)) yield segmentName(range, range.attempt, n)
  }
}

const attemptOf = ({ recoveryPointId, disk, slice, attempt }: SegmentRange): string =>
  `${recoveryPointId}/${disk}/${slice}.${attempt}`

function* inWindows(names: Iterable<string>): Generator<readonly string[]> {
  let window: string[] = []
  for (const name of names) {
    window.push(name)
    if (window.length < segmentsPerWindow) continue
    yield window
    window = []
  }
  if (window.length > 0) yield window
}

const usagesOf = async (
  reader: BlobReader,
  folded: readonly IndexedLayer[],
  names: readonly string[],
  options: CallOptions,
): Promise<ReadonlyMap<string, Usage>> => {
  const usages = new Map(names.map((name): [string, Usage] => [name, { name, frames: new Map(), runs: 0 }]))
  for (const { reference, ranges } of folded) {
    if (!touches(ranges, usages)) continue
    for await (const { frame } of shownBy(reader, await openLayers(reader, [reference], options), options)) {
      const usage = frame === null ? undefined : usages.get(frame.segment)
      if (frame === null || usage === undefined) continue
      usage.frames.set(frame.placeBytes, frame.storedBytes)
      usage.runs += 1
    }
  }
  return usages
}

const touches = (ranges: readonly SegmentRange[], usages: ReadonlyMap<string, Usage>): boolean => {
  for (const name of segmentNamesOf(ranges)) if (usages.has(name)) return true
  return false
}

const sparseOf = async (
  reader: BlobReader,
  usages: ReadonlyMap<string, Usage>,
  options: CallOptions,
): Promise<readonly (SparseSegment & { readonly runs: number })[]> => {
  const sparse: (SparseSegment & { runs: number })[] = []
  const folders = new Set([...usages.keys()].map((name) => name.slice(0, name.lastIndexOf('/') + 1)))
  for (const folder of folders)
    for await (const { name, lengthBytes } of reader.list(folder, options)) {
      const usage = usages.get(name)
      if (usage === undefined) continue
      const liveBytes = [...usage.frames.values()].reduce((sum, storedBytes) => sum + storedBytes, 0)
      if (liveBytes * 2 >= lengthBytes) continue
      if (liveBytes * 2 >= (await framesBytesOf(reader, name, lengthBytes, options))) continue
      sparse.push({ name, liveBytes, runs: usage.runs })
    }
  return sparse
}

/** A segment of few small frames is mostly directory: only frames count. */
const framesBytesOf = async (
  reader: BlobReader,
  name: string,
  lengthBytes: number,
  options: CallOptions,
): Promise<number> => {
  const offsetBytes = lengthBytes - segmentTrailerBytes
  const bytes = await readExactly(reader, name, { offsetBytes, lengthBytes: segmentTrailerBytes }, options)
  return decodeSegmentTrailer(bytes, { name, place: offsetBytes }).directoryPlaceBytes
}

const withinBudget = (
  sparse: readonly (SparseSegment & { readonly runs: number })[],
  budgetBytes: number,
): readonly SparseSegment[] => {
  const taken: SparseSegment[] = []
  let bytes = 0
  let runs = 0
  for (const segment of sparse) {
    bytes += segment.liveBytes
    runs += segment.runs
    if (taken.length > 0 && (bytes > budgetBytes || runs > runsPerRewriteMax)) break
    taken.push(segment)
  }
  return taken
}
