import type { LayerReference } from '../domain/recovery-point.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { openLayers, shownBy } from './fold-layers.ts'
import { type FrameUsage, frameUsages, placeOf } from './frame-usage.ts'

/** Frames of which layers show little of what they hold. */
export interface SparseFrames {
  /** As `placeOf` tells them. */
  readonly places: ReadonlySet<string>
  /** One frame for each attempt among them. */
  readonly samples: readonly FrameUsage[]
}

/** A restore may read this many times what it shows. */
const readShareMax = 1.5
/** Bounds the memory of the directories that gathered frames get. */
const runsMax = 400_000
/** What is read for what is gathered, at most. */
const readsPerGathered = 4

/** True where the frames that the stack shows hold more than 1.5 times the data that it shows: a restore would read it. Reads the indexes of
 * all layers. @throws VaultError */
export const readsTooMuch = async (
  reader: BlobReader,
  stack: readonly LayerReference[],
  options: CallOptions,
): Promise<boolean> => {
  let [plainBytes, shownBytes] = [0, 0]
  for await (const usage of frameUsages(shownBy(reader, await openLayers(reader, stack, options), options))) {
    plainBytes += usage.plainBytes
    shownBytes += usage.shownBytes
  }
  return plainBytes > readShareMax * shownBytes
}

/** The frames of which the layers together show less than half, else those of which they show less than two thirds, as many as the budget takes;
 * null where there are none, or so few that what is hidden in them is less than the index, which is written anew with them. Each byte that is
 * gathered stands for half a byte at least that is hidden for good, so data is written again in proportion to what changed. Without frames below
 * two thirds nobody reads more than 1.5 times what is shown.
 * @param layers newest first
 * @param wanted `isTooMuch`: take them even where all frames together hold less than 1.5 times what is shown; `budgetBytes`: data to be gathered,
 * if not as much as makes an index of this length worthwhile
 * @throws VaultError where a layer is damaged */
export const findSparseFrames = async (
  reader: BlobReader,
  layers: readonly LayerReference[],
  wanted: { readonly isTooMuch: boolean; readonly budgetBytes: number },
  options: CallOptions,
): Promise<SparseFrames | null> => {
  const indexBytes = layers.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
  const budgetBytes = Math.max(wanted.budgetBytes, 2 * indexBytes)
  const taken: FrameUsage[] = []
  const all = { plainBytes: 0, shownBytes: 0 }
  const sum = { plainBytes: 0, shownBytes: 0, runs: 0 }
  const isFull = () =>
    sum.shownBytes >= budgetBytes || sum.plainBytes >= readsPerGathered * budgetBytes || sum.runs >= runsMax
  for await (const usage of frameUsages(shownBy(reader, await openLayers(reader, layers, options), options))) {
    all.plainBytes += usage.plainBytes
    all.shownBytes += usage.shownBytes
    if (!showsLess(usage, 2 / 3) || isFull()) continue
    taken.push(usage)
    sum.plainBytes += usage.plainBytes
    sum.shownBytes += usage.shownBytes
    sum.runs += usage.runs
  }
  if (!wanted.isTooMuch && all.plainBytes <= readShareMax * all.shownBytes) return null
  const emptiest = taken.filter((usage) => showsLess(usage, 1 / 2))
  for (const frames of [emptiest, taken]) {
    const hiddenBytes = frames.reduce((hidden, { plainBytes, shownBytes }) => hidden + plainBytes - shownBytes, 0)
    if (hiddenBytes === 0 || hiddenBytes < indexBytes) continue
    const samples = new Map(frames.map((usage) => [usage.attempt, usage]))
    return { places: new Set(frames.map(placeOf)), samples: [...samples.values()] }
  }
  return null
}

const showsLess = ({ shownBytes, plainBytes }: FrameUsage, share: number): boolean => shownBytes < plainBytes * share
