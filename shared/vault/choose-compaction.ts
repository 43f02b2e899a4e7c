import type { LayerReference } from '../domain/recovery-point.ts'
import { digestHex } from '../format/digest.ts'
import { segmentNamesOf } from '../format/segment-ranges.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { chooseFold, type Stack } from './choose-folds.ts'
import { placeIn } from './commit-revision.ts'
import { compactionIdPrefix } from './compaction-intents.ts'
import type { FrameUsage } from './frame-usage.ts'
import type { LivePoint } from './live-points.ts'
import { findSparseFrames, readsTooMuch } from './sparse-frames.ts'
import { findSparseSegments, type IndexedLayer, indexLayers } from './sparse-segments.ts'

/** One layer to be made, and what it is made of. */
export interface Making {
  /** Follows from what is made of what, for which revisions: while those are nobody's, a repeated run makes the same under the same name; after that
   * no run ever uses the name again, so nobody builds on what a collection may be removing. */
  readonly id: string
  readonly disk: string
  /** Neighbours in the stacks that have them, newest first. */
  readonly from: readonly LayerReference[]
  /** In every stack that has them, the last of `from` lies on nothing. */
  readonly isLowest: boolean
  /** Names of the segments to be emptied; empty for all but a rewrite. */
  readonly sparse: ReadonlySet<string>
  /** Frames of which what shows is gathered into new ones, as `placeOf` tells them; empty for all but a regathering. */
  readonly regathered: ReadonlySet<string>
}

/** Layers that are made together, and the recovery points that take them over, each with the revision to be created. */
export interface CompactionStep {
  readonly makings: readonly Making[]
  readonly points: readonly { readonly recoveryPointId: string; readonly revision: number }[]
}

type IsShared = (layer: LayerReference) => boolean

/** One fold for each disk that has one to be made; null where there is none.
 * @param points newest first
 * @param pointsMax as many recovery points take the layers over, the newest first; the others follow in a later step with layers of their own */
export const chooseFoldStep = (
  vmKey: string,
  points: readonly LivePoint[],
  isShared: IsShared,
  pointsMax: number,
): CompactionStep | null => {
  const makings: Wanted[] = []
  for (const [disk, stacks] of stacksByDisk(points)) {
    const from = chooseFold(stacks, isShared)
    if (from === null) continue
    makings.push({ disk, from, isLowest: isLowestOf(stacks, from), sparse: none, regathered: none })
  }
  return makings.length === 0 ? null : stepOf(vmKey, points, makings, pointsMax)
}

/** The sparse segments of one disk, and all layers that need something of them; null where no disk has any. Reads folded layers.
 * @param budgetBytes of frames to be moved */
export const chooseRewriteStep: ChooseStep<CompactionStep> = (reader, vmKey, points, isShared, budgetBytes, options) =>
  firstOfDisks(points, async (disk, stacks) => {
    const layers = await indexLayers(reader, distinctLayers(stacks), options)
    const judged = layers.map((layer) => ({ ...layer, isFolded: layer.isFolded && !isShared(layer.reference) }))
    const segments = await findSparseSegments(reader, judged, budgetBytes, options)
    if (segments.length === 0) return null
    const sparse = new Set(segments.map(({ name }) => name))
    const named = judged.filter((layer) => layer.isFolded && needsAny(layer, sparse))
    const makings = named.map(
      ({ reference }): Wanted => ({ disk, from: [reference], isLowest: false, sparse, regathered: none }),
    )
    return stepOf(vmKey, points, makings, points.length)
  })

/** Some sparse frames of one disk, see findSparseFrames; null where there are none. Reads the newest recovery point's stack and folded layers.
 * Of a folded layer, what all its recovery points no longer show is given up. Where restoring the newest recovery point reads too much all the
 * same, as frames are hidden by newer layers that older recovery points tell apart, its stack becomes one layer without them.
 * @param budgetBytes of shown data to be gathered */
export const chooseRegatherStep: ChooseStep<RegatherStep> = (reader, vmKey, points, isShared, budgetBytes, options) =>
  firstOfDisks(points, async (disk, stacks) => {
    for (const { from, isTooMuch } of await regatherable(reader, stacks, isShared, options)) {
      const found = await findSparseFrames(reader, from, { isTooMuch, budgetBytes }, options)
      if (found === null) continue
      const isLowest = from.length > 1 && isLowestOf(stacks, from)
      const making = { disk, from, isLowest, sparse: none, regathered: found.places }
      return { step: stepOf(vmKey, points, [making], points.length), samples: found.samples }
    }
    return null
  })

type ChooseStep<Step> = (
  reader: BlobReader,
  vmKey: string,
  points: readonly LivePoint[],
  isShared: IsShared,
  budgetBytes: number,
  options: CallOptions,
) => Promise<Step | null>

/** What is found for the first disk that has something. */
const firstOfDisks = async <Step>(
  points: readonly LivePoint[],
  find: (disk: string, stacks: readonly Stack[]) => Promise<Step | null>,
): Promise<Step | null> => {
  for (const [disk, stacks] of stacksByDisk(points)) {
    const step = await find(disk, stacks)
    if (step !== null) return step
  }
  return null
}

/** Folded layers one by one, then, where restoring the newest recovery point reads too much, what its stack has of its own as a whole. */
const regatherable = async (
  reader: BlobReader,
  stacks: readonly Stack[],
  isShared: IsShared,
  options: CallOptions,
): Promise<readonly { readonly from: Stack; readonly isTooMuch: boolean }[]> => {
  const own = distinctLayers(stacks).filter(isAboveShared(stacks, isShared))
  const folded = (await indexLayers(reader, own, options)).filter(({ isFolded }) => isFolded)
  const [newest = []] = stacks
  const isTooMuch = own.length > 1 && (await readsTooMuch(reader, newest, options))
  const ownOfNewest = newest.filter((layer) => own.some(({ layerId }) => layerId === layer.layerId))
  const within = folded.map(({ reference }) => ({
    from: [reference],
    isTooMuch: isTooMuch && ownOfNewest.some(({ layerId }) => layerId === reference.layerId),
  }))
  return isTooMuch && ownOfNewest.length > 1 ? [...within, { from: ownOfNewest, isTooMuch }] : within
}

/** In every stack that has the layers, the last of them lies on nothing. */
const isLowestOf = (stacks: readonly Stack[], from: Stack): boolean =>
  stacks.every((stack) => placeIn(stack, from) === -1 || placeIn(stack, from) + from.length === stack.length)

/** `samples`: one of the frames for each attempt that made any of them. */
export interface RegatherStep {
  readonly step: CompactionStep
  readonly samples: readonly FrameUsage[]
}

/** Clones lie on a shared layer and on what is below it. */
const isAboveShared = (stacks: readonly Stack[], isShared: IsShared): ((layer: LayerReference) => boolean) => {
  const below = stacks.flatMap((stack) => {
    const at = stack.findIndex(isShared)
    return at === -1 ? [] : stack.slice(at).map(({ layerId }) => layerId)
  })
  const ids = new Set(below)
  return ({ layerId }) => !ids.has(layerId)
}

const none: ReadonlySet<string> = new Set()

const idOf = (parts: readonly unknown[]): string =>
  `${compactionIdPrefix}${digestHex(Buffer.from(JSON.stringify(parts))).slice(0, 32)}`

const stacksByDisk = (points: readonly LivePoint[]): ReadonlyMap<string, Stack[]> => {
  const stacks = new Map<string, Stack[]>()
  for (const { disks } of points)
    for (const { disk, stack } of disks) stacks.set(disk, [...(stacks.get(disk) ?? []), stack])
  return stacks
}

const distinctLayers = (stacks: readonly Stack[]): readonly LayerReference[] => [
  ...new Map(stacks.flat().map((layer) => [layer.layerId, layer])).values(),
]

const needsAny = ({ ranges }: IndexedLayer, sparse: ReadonlySet<string>): boolean => {
  for (const name of segmentNamesOf(ranges)) if (sparse.has(name)) return true
  return false
}

type Wanted = Omit<Making, 'id'>

const stepOf = (
  vmKey: string,
  points: readonly LivePoint[],
  makings: readonly Wanted[],
  pointsMax: number,
): CompactionStep => {
  const taken = points
    .filter(({ disks }) => makings.some((making) => disks.some((one) => fits(one, making))))
    .slice(0, pointsMax)
  const used = makings.filter((making) => taken.some(({ disks }) => disks.some((one) => fits(one, making))))
  const to = taken.map(({ recoveryPointId, revision }) => ({ recoveryPointId, revision: revision + 1 }))
  const digests = used.map(({ from }) => from.map(({ digest }) => digest))
  return {
    makings: used.map((making, index) => {
      const { disk, isLowest, sparse, regathered } = making
      return { ...making, id: idOf([vmKey, disk, index, isLowest, digests, [...sparse], [...regathered], to]) }
    }),
    points: to,
  }
}

const fits = (of: { readonly disk: string; readonly stack: Stack }, making: Wanted): boolean =>
  of.disk === making.disk && placeIn(of.stack, making.from) !== -1
