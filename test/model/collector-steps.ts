import {
  allLayers,
  type Collector,
  foldedLayer,
  idleCollector,
  keptSegment,
  movedSegment,
  none,
  orderOfSweep,
  pointsMax,
  recordOf,
  segmentOf,
  sliceIndex,
  type World,
} from './collection-state.ts'
import {
  again,
  ended,
  garbage,
  hasMade,
  isCompactionDecided,
  isDecided,
  looked,
  marked,
  passOrder,
  seen,
  seenOf,
  sweeping,
} from './collector-looks.ts'
import { pointAt, replace, type Step, segmentsOf } from './names-in-vault.ts'
import type { Protocol } from './protocols.ts'

/** Behind the objects: what goes from the control container. */
const intentOf = (index: number): number => 1 << (17 + index)
const markersOf = 1 << 21
const allControl = 0x3e0000

/** Its next step concerns lists of other passes alone. */
export const isLookingForOthers = ({ at }: Collector): boolean =>
  passOrder[at] === 'unfinishedPasses' || passOrder[at] === 'dropEmptied'

const collectorWith = (world: World, index: number, change: Partial<Collector>): World => ({
  ...world,
  collectors: replace(world.collectors, index, change),
})

export function* collectorSteps(protocol: Protocol, world: World, index: number): Generator<Step> {
  const collector = world.collectors[index] as Collector
  const other = world.collectors[1 - index] as Collector
  const { at } = collector
  const name = passOrder[at]
  const next = (change: Partial<Collector>, from: World = world): Step => ({
    step: `collection: ${name}`,
    next: collectorWith(from, index, { at: at + 1, ...change }),
  })
  switch (name) {
    case 'readIntents':
    case 'readRecords':
    case 'readRecordsAgain':
      yield next(looked(protocol, world, collector))
      return
    case 'readCompactions':
      yield next({ knowsCompaction: hasMade(world) })
      return
    case 'unfinishedPasses': {
      const isOther = other.hasList === 1
      const begun = isOther ? { begun: other.condemned, begunPoints: other.condemnedPoints } : {}
      yield next({ ...begun, isNew: 1 })
      if (isOther && protocol.resumesPasses) yield next({ ...begun, isNew: 0, at: again })
      return
    }
    case 'layersOf':
      yield next({ condemned: garbage(collector, world.objects) })
      return
    case 'writeCondemned':
      yield* writeCondemned(protocol, world, index, next)
      return
    case 'keepOtherLayers':
      yield next(concluded(protocol, world, keptOthers(protocol, world, collector)))
      return
    case 'sweepVault':
      yield* sweep(world, index, next)
      return
    case 'collectControl':
      yield next({ removable: none }, withoutControl(world, collector))
      return
    case 'dropCondemned':
      yield next(
        collector.isNew > 0 ? { ...ownList(collector), hasList: 0 } : {},
        droppedOthers(protocol, world, index),
      )
      return
    case 'dropEmptied':
      yield next({ ...idleCollector, at: ended, ...listKept(collector) }, withoutEmptied(protocol, world, index))
      return
    case undefined:
      return
    default:
      name satisfies never
  }
}

const ownList = ({ isNew }: Collector): Partial<Collector> =>
  isNew === 1 ? { condemned: none, condemnedPoints: 0 } : {}
const listKept = ({ hasList, condemned, condemnedPoints }: Collector): Partial<Collector> =>
  hasList === 1 ? { hasList, condemned, condemnedPoints } : {}

function* writeCondemned(
  { mark, resumesPasses }: Protocol,
  world: World,
  index: number,
  next: (change: Partial<Collector>, from?: World) => Step,
): Generator<Step> {
  const collector = world.collectors[index] as Collector
  const other = world.collectors[1 - index] as Collector
  const layers = collector.condemned & garbage(collector, world.objects | allLayers)
  let condemnedPoints = 0
  for (let point = 0; point < pointsMax; point += 1)
    if (
      seenOf(collector, point) === seen.expired &&
      isDecided(collector, point) &&
      (world.objects & recordOf(point)) !== 0
    )
      condemnedPoints |= 1 << point
  const isShared = mark === 'shared' && other.hasList === 1
  yield next(
    { condemned: layers, condemnedPoints, hasList: 1 },
    isShared ? collectorWith(world, 1 - index, { hasList: 0 }) : world,
  )
  // Another process of this very pass was first: its list counts.
  if (resumesPasses && other.hasList === 1)
    yield next({
      condemned: none,
      condemnedPoints: 0,
      begun: collector.begun | other.condemned,
      begunPoints: collector.begunPoints | other.condemnedPoints,
      isNew: 2,
    })
}

/** Layers that nobody names and no list condemns may be built on by whoever comes. */
const keptOthers = (protocol: Protocol, world: World, collector: Collector): Collector => {
  const { keepsUnnamed } = protocol
  const layers = garbage(collector, world.objects) & ~(collector.condemned | collector.begun)
  if (keepsUnnamed === 'nothing') return collector
  if (keepsUnnamed === 'layers') return { ...collector, layers: collector.layers | layers }
  return marked(protocol, world, collector, layers)
}

/** All that the pass has learnt, as what it is going to remove where it finds it. */
const concluded = (protocol: Protocol, world: World, collector: Collector): Partial<Collector> => {
  const condemned = collector.condemned | collector.begun
  const condemnedPoints = collector.condemnedPoints | collector.begunPoints
  const layers = condemned & garbage(collector, allLayers)
  let removable = layers
  let segments = none
  for (let index = 0; index < pointsMax; index += 1) {
    const state = seenOf(collector, index)
    if (state !== seen.unknown && pointAt(world, index).intent > 0) removable |= intentOf(index)
    if (!isDecided(collector, index)) continue
    segments |= segmentOf(index) | (index === 0 ? keptSegment : none)
    if (state === seen.expired && ((condemnedPoints >> index) & 1) === 1) removable |= recordOf(index)
  }
  if (isCompactionDecided(collector)) {
    segments |= movedSegment(1) | movedSegment(2)
    removable |= markersOf | ((collector.layers & foldedLayer) === none ? sliceIndex : none)
  }
  const isFreed = protocol.frees === 'segmentsOfCondemned' ? segmentsOf(protocol, world, layers) : ~collector.segments
  const { hasList, isNew, begun, begunPoints } = collector
  const own = { condemned: collector.condemned, condemnedPoints: collector.condemnedPoints }
  return {
    ...idleCollector,
    ...own,
    hasList,
    isNew,
    begun,
    begunPoints,
    at: sweeping,
    removable: removable | (segments & isFreed),
  }
}

/** Earlier records first, then layers, slice indexes, segments; of one kind in any order. */
function* sweep(
  world: World,
  index: number,
  next: (change: Partial<Collector>, from?: World) => Step,
): Generator<Step> {
  const { removable } = world.collectors[index] as Collector
  const kind = orderOfSweep.find((objects) => (objects & removable & world.objects) !== none)
  if (kind === undefined) {
    yield next({ removable: removable & allControl })
    return
  }
  for (let left = kind & removable & world.objects; left !== none; left &= left - 1) {
    const one = left & -left
    const { step, next: swept } = next({ at: sweeping }, withoutObject(world, one))
    yield { step: `${step} ${one.toString(16)}`, next: swept }
  }
}

const withoutObject = (world: World, object: number): World => {
  const { compaction } = world
  const objects = world.objects & ~object
  if (object === sliceIndex) return { ...world, objects, compaction: { ...compaction, index: 0 } }
  if (object === foldedLayer) return { ...world, objects, compaction: { ...compaction, layer: 0 } }
  if (object === movedSegment(1))
    return { ...world, objects, compaction: { ...compaction, writers: compaction.writers & 2 } }
  if (object === movedSegment(2))
    return { ...world, objects, compaction: { ...compaction, writers: compaction.writers & 1 } }
  return { ...world, objects }
}

const withoutControl = (world: World, { removable }: Collector): World => {
  let now = world
  for (let index = 0; index < pointsMax; index += 1)
    if ((removable & intentOf(index)) !== 0) now = { ...now, points: replace(now.points, index, { intent: 0 }) }
  return (removable & markersOf) === 0 ? now : { ...now, compaction: { ...now.compaction, markers: 0 } }
}

/** The list of the pass goes under its name, also where another process wrote it. */
const droppedOthers = ({ mark }: Protocol, world: World, index: number): World => {
  const { isNew } = world.collectors[index] as Collector
  const other = world.collectors[1 - index] as Collector
  return (isNew === 2 || mark === 'shared') && other.hasList === 1 ? withoutList(world, 1 - index) : world
}

/** One that has ended keeps nothing else. */
const withoutList = (world: World, index: number): World => {
  const { at } = world.collectors[index] as Collector
  return collectorWith(world, index, at === ended ? { ...idleCollector, at } : { hasList: 0 })
}

const withoutEmptied = ({ endsLists }: Protocol, world: World, index: number): World => {
  const { begun, begunPoints } = world.collectors[index] as Collector
  const other = world.collectors[1 - index] as Collector
  if (other.hasList === 0 || (begun === none && begunPoints === 0 && other.condemned !== none)) return world
  const isEmptied = (other.condemned & world.objects) === none
  return isEmptied || endsLists === 'always' ? withoutList(world, 1 - index) : world
}
