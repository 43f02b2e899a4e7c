import {
  foldedLayer,
  keptSegment,
  layerOf,
  movedSegment,
  none,
  type Point,
  pointsMax,
  recordOf,
  records,
  segmentOf,
  sliceIndex,
  type World,
} from './collection-state.ts'
import type { Protocol } from './protocols.ts'

/** What names what in the vault of the model. */

export const pointAt = (world: World, index: number): Point => world.points[index] as Point
export const isLive = ({ record }: Point): boolean => record >= records.first && record <= records.fenced
/** Attempt and run of `madeOf`. */
const attemptIn = (made: number): number => ((made - 1) >> 1) + 1
const runIn = (made: number): number => (made - 1) & 1

/** The stack that a backup made. */
export const stackOf = (world: World, index: number): number => layerOf(index) | pointAt(world, index).below

/** What the newest revision names; none where it is not live. */
export const newestStackOf = (world: World, index: number): number => {
  const point = pointAt(world, index)
  if (!isLive(point)) return none
  return point.record === records.folded ? foldedLayer : stackOf(world, index)
}

/** What all revisions name that are there. */
export const stacksOfRevisions = (world: World, index: number): number => {
  const { record } = pointAt(world, index)
  if ((world.objects & recordOf(index)) === 0) return none
  const isFolded = record === records.folded || record === records.foldedExpired
  return stackOf(world, index) | (isFolded ? foldedLayer : none)
}

/** A compaction that makes segments leaves one of the first recovery point's where it is: worlds without one need no such segment. */
export const movesData = ({ actors }: Protocol): boolean =>
  actors.compaction === 'rewrite' || actors.compaction === 'regather'

/** Segments that footers of the layers list. */
export const segmentsOf = (protocol: Protocol, world: World, layers: number): number => {
  let segments = none
  for (let index = 0; index < pointsMax; index += 1) if ((layers & layerOf(index)) !== 0) segments |= segmentOf(index)
  if ((layers & layerOf(0)) !== 0 && movesData(protocol)) segments |= keptSegment
  if ((layers & foldedLayer) === 0) return segments
  return segments | segmentsOfFolded(protocol, world)
}

/** A fold names what the layers did that it stands for; a rewrite has moved the frames of one of those segments, a regathering has gathered them. */
const segmentsOfFolded = (protocol: Protocol, world: World): number => {
  const { target, layer } = world.compaction
  const segments = segmentsOf(protocol, world, stackOf(world, target - 1) & ~foldedLayer)
  const { compaction } = protocol.actors
  if (compaction === 'fold') return segments
  const moved = compaction === 'rewrite' ? 1 : attemptIn(layer)
  return (segments & ~segmentOf(0)) | movedSegment(moved)
}

/** Everything that commit records name. A regathered layer keeps the slice index that it was made of. */
const namedByRecords = (protocol: Protocol, world: World): number => {
  let layers = none
  let rest = none
  for (let index = 0; index < pointsMax; index += 1) {
    layers |= newestStackOf(world, index)
    if (isLive(pointAt(world, index))) rest |= recordOf(index)
  }
  const isRegathered = protocol.actors.compaction === 'regather' && (layers & foldedLayer) !== 0
  return layers | rest | segmentsOf(protocol, world, layers) | (isRegathered ? sliceIndex : none)
}

/** What exists and no commit record names. */
export const unnamed = (protocol: Protocol, world: World): number => world.objects & ~namedByRecords(protocol, world)

/** True where the segment has other frames than what the run gathered. */
export const isForeign = (world: World, made: number): boolean =>
  made !== 0 &&
  (world.objects & movedSegment(attemptIn(made))) !== 0 &&
  ((world.compaction.writers >> (attemptIn(made) - 1)) & 1) !== runIn(made)

/** What must hold in every state. */
export const violationOf = (protocol: Protocol, world: World): string | null => {
  const missing = namedByRecords(protocol, world) & ~world.objects
  if (missing !== none) return `a commit record names objects that are gone (${missing.toString(16)})`
  const { at, layers } = world.restore
  if (at === 2 && ((layers | segmentsOf(protocol, world, layers)) & ~world.objects) !== none)
    return 'a running restore misses objects'
  const isFoldNamed = world.points.some(({ record }) => record === records.folded)
  if (isFoldNamed && isForeign(world, world.compaction.layer)) return 'a layer names frames that another run wrote'
  return null
}

export const replace = <Items extends readonly unknown[]>(items: Items, index: number, change: object): Items =>
  items.map((item, at) => (at === index ? { ...(item as object), ...change } : item)) as unknown as Items

export const withPoint = (world: World, index: number, change: Partial<Point>): World => ({
  ...world,
  points: replace(world.points, index, change),
})

/** Layers and recovery points that lists of passes name at this moment. */
export const condemnedNow = (
  world: World,
): { readonly layers: number; readonly points: number; readonly lists: number } => {
  let [layers, points, lists] = [none, 0, 0]
  for (const { hasList, condemned, condemnedPoints } of world.collectors) {
    if (hasList === 0) continue
    layers |= condemned
    points |= condemnedPoints
    lists += 1
  }
  return { layers, points, lists }
}

/** One step of one actor: its name is that of the actor and of the function in shared/vault whose call it stands for. */
export interface Step {
  readonly step: string
  readonly next: World
}
