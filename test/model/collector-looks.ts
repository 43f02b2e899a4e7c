import {
  allLayers,
  type Collector,
  foldedLayer,
  layerOf,
  movedSegment,
  none,
  pointsMax,
  records,
  sliceIndex,
  type World,
} from './collection-state.ts'
import { isLive, newestStackOf, pointAt, segmentsOf, stacksOfRevisions } from './names-in-vault.ts'
import type { Protocol } from './protocols.ts'

/** The calls of collectGarbage, those of condemn in their place. Left out is what can only make a pass keep more: marks that are remembered, and
 * commit records that are found to be lost. */
export const passOrder = [
  'readRecords',
  'readCompactions',
  'unfinishedPasses',
  'layersOf',
  'readIntents',
  'readRecordsAgain',
  'writeCondemned',
  'readIntents',
  'readRecordsAgain',
  'keepOtherLayers',
  'sweepVault',
  'collectControl',
  'dropCondemned',
  'dropEmptied',
] as const
export const again = 7
export const sweeping = 10
export const ended = passOrder.length

/** What a pass knows of a recovery point. */
export const seen = { unknown: 0, live: 1, expired: 2, aborted: 3 } as const
export const seenOf = ({ seen: all }: Collector, index: number): number => (all >> (index * 2)) & 3

const compactionId = 1 << pointsMax
export const hasMade = ({ objects, compaction }: World): number => {
  const made = foldedLayer | sliceIndex | movedSegment(1) | movedSegment(2)
  return (objects & made) !== none || compaction.markers !== 0 ? 1 : 0
}

/** Decided: known, and no intent speaks for it. */
export const isDecided = (collector: Collector, index: number): boolean =>
  seenOf(collector, index) !== seen.unknown && ((collector.protectedIds >> index) & 1) === 0
export const isCompactionDecided = ({ knowsCompaction, protectedIds }: Collector): boolean =>
  knowsCompaction === 1 && (protectedIds & compactionId) === 0

/** Of these layers, those that nobody names and whose id is decided. */
export const garbage = (collector: Collector, objects: number): number => {
  let layers = isCompactionDecided(collector) ? foldedLayer : none
  for (let index = 0; index < pointsMax; index += 1) if (isDecided(collector, index)) layers |= layerOf(index)
  return objects & allLayers & layers & ~collector.layers
}

export const marked = (protocol: Protocol, world: World, collector: Collector, layers: number): Collector => ({
  ...collector,
  layers: collector.layers | layers,
  segments: collector.segments | segmentsOf(protocol, world, layers),
})

/** The look at intents, or at records, that has its turn. Where variants leave a second look out, it sees nothing. */
export const looked = (protocol: Protocol, world: World, collector: Collector): Partial<Collector> => {
  const { at } = collector
  const { order, looksAgain, learnsCompactions } = protocol
  const isIntents = (passOrder[at] === 'readIntents') !== (order === 'recordsThenIntents' && at > 0)
  const late = learnsCompactions === 'afterIntents' && at === again + 1 ? { knowsCompaction: hasMade(world) } : {}
  if (at >= again && (looksAgain === 'atNothing' || (looksAgain === 'atIntents' && !isIntents))) return late
  const look = isIntents ? readIntents : readRecords
  return { ...look(protocol, world, collector), ...late }
}

/** Bits of intents: of recovery points, then of the compaction and of the restore. */
const restoreId = compactionId << 1

const intentsOf = ({ points, compaction, restore }: World): number => {
  let ids = (compaction.intent === 1 ? compactionId : 0) | (restore.intent === 1 ? restoreId : 0)
  points.forEach(({ intent }, index) => {
    if (intent > 0) ids |= 1 << index
  })
  return ids
}

/** Three calls at least, with whatever happens in between: intents are listed; those that are still there are read; all revisions of what they
 * name are looked for, as far as it is known that there is such a recovery point. In truth each intent is read, and each recovery point looked for, by a
 * call of its own. That sees no less: an intent that one of those calls still found may be gone at the last, and revisions only come. */
const readIntents = (protocol: Protocol, world: World, collector: Collector): Partial<Collector> => {
  const { at, part, asked } = collector
  if (part === 0) return { at, part: 1, asked: intentsOf(world) }
  if (part === 1) {
    const found = asked & intentsOf(world)
    const needed = targetsOf(world, found)
    const protectedIds = collector.protectedIds | (found & ~restoreId) | needed
    return { at, part: 2, asked: needed, protectedIds }
  }
  let layers = none
  for (let index = 0; index < pointsMax; index += 1)
    if (((asked >> index) & 1) === 1 && seenOf(collector, index) !== seen.unknown)
      layers |= stacksOfRevisions(world, index)
  return { ...withoutAt(marked(protocol, world, collector, layers & world.objects)), part: 0, asked: 0 }
}

const targetsOf = ({ points, compaction, restore }: World, found: number): number => {
  let targets = (found & compactionId) === 0 ? 0 : 1 << (compaction.target - 1)
  if ((found & restoreId) !== 0) targets |= 1 << (restore.target - 1)
  points.forEach(({ intent }, index) => {
    if (((found >> index) & 1) === 1 && intent > 1) targets |= 1 << (intent - 2)
  })
  return targets
}

const withoutAt = ({ at: _, ...rest }: Collector): Partial<Collector> => rest

const readRecords = (protocol: Protocol, world: World, before: Collector): Partial<Collector> => {
  let collector = before
  for (let index = 0; index < pointsMax; index += 1) {
    const point = pointAt(world, index)
    if (point.record === records.absent) continue
    const state = isLive(point) ? seen.live : point.record === records.aborted ? seen.aborted : seen.expired
    const wasUnknown = seenOf(before, index) === seen.unknown
    collector = { ...collector, seen: (collector.seen & ~(3 << (index * 2))) | (state << (index * 2)) }
    collector = marked(protocol, world, collector, newestStackOf(world, index))
    const isNamed = ((collector.protectedIds >> index) & 1) === 1
    const isAsked = protocol.marksFoundLater === 'all' || (protocol.marksFoundLater === 'named' && isNamed)
    if (isAsked && wasUnknown && before.at > 0)
      collector = marked(protocol, world, collector, stacksOfRevisions(world, index) & world.objects)
  }
  return withoutAt(collector)
}
