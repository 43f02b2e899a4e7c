import { createCodec } from './pack.ts'

/** The world of the collection model. Four recovery points: the first one stands in the vault, the others are backups, each of which builds on the newest
 * one that it finds; a compaction that makes one layer of a stack, by two runs under one id; a restore; expiries; two collectors. A layer and
 * the segments that it names are objects of their own. What one storage call does is one step, and a crash is an actor that takes no further
 * step: every such state is visited. */
export interface Point {
  readonly record: number
  /** Layers below its own one, as it was planned. */
  readonly below: number
  /** What its backup does next, see backupSteps. */
  readonly at: number
  /** The recovery point that its backup builds on, 0 for none, else its index and 1. */
  readonly base: number
  /** 0 absent, 1 names nothing, else the index of what it names, and 2. */
  readonly intent: number
  /** What the supervisor has done to it as abandoned: 0 nothing, 1 fenced, 2 its intent dropped. It may run all the same. */
  readonly fence: number
}

/** Both runs are of one id, as they found the same to do. */
export interface Run {
  readonly at: number
  readonly attempt: number
}

export interface Compaction {
  /** The recovery point whose stack becomes one layer: 0 not chosen, else its index and 1. */
  readonly target: number
  readonly intent: number
  /** What whoever finds it stale has done: 0 nothing, 1 created the revision, 2 removed the markers. */
  readonly fence: number
  /** Bits: markers of attempts. */
  readonly markers: number
  /** Bits: which run wrote the segment of each attempt. */
  readonly writers: number
  /** What the slice index names, and what the layer was made of: 0 for nothing, else see `madeOf`. */
  readonly index: number
  readonly layer: number
  readonly runs: readonly [Run, Run]
}

interface Restore {
  readonly at: number
  readonly target: number
  readonly intent: number
  readonly layers: number
}

/** What a pass has learnt. It only ever grows, until all is put together in `removable`. */
export interface Collector {
  readonly at: number
  /** Two bits for each recovery point, see `seen`. */
  readonly seen: number
  /** The compaction had made something. */
  readonly knowsCompaction: number
  /** Ids that intents speak for: bits of recovery points, then of the compaction. */
  readonly protectedIds: number
  readonly layers: number
  readonly segments: number
  /** How far a look at intents has come, and what it is to ask for next: intents, then recovery points. */
  readonly part: number
  readonly asked: number
  /** Layers, and recovery points whose older records go: its own list, and the lists of others that it takes up. */
  readonly condemned: number
  readonly condemnedPoints: number
  readonly begun: number
  readonly begunPoints: number
  readonly hasList: number
  /** 0: it goes on with another's pass. 1: it has a list of its own. 2: the same, under the name of another that runs. */
  readonly isNew: number
  readonly removable: number
}

export interface World {
  /** Bits: which objects exist. */
  readonly objects: number
  readonly points: readonly [Point, Point, Point, Point]
  readonly compaction: Compaction
  readonly restore: Restore
  readonly collectors: readonly [Collector, Collector]
}

export const none = 0
export const pointsMax = 4
export const records = {
  absent: 0,
  aborted: 1,
  first: 2,
  folded: 3,
  fenced: 4,
  firstExpired: 5,
  foldedExpired: 6,
  fencedExpired: 7,
} as const
export const expiredFromLive = records.firstExpired - records.first

/** Bits of objects, in the order in which a sweep removes them: earlier records of a recovery point (all that its end leaves are
 * taken for one), layers, the compaction's slice index, segments. */
export const recordOf = (point: number): number => 1 << point
const allRecords = 15
export const layerOf = (point: number): number => 16 << point
export const foldedLayer = 16 << pointsMax
export const allLayers = 0x1f0
export const sliceIndex = 1 << 9
export const segmentOf = (point: number): number => 1 << (10 + point)
/** The first recovery point's second segment: no compaction moves its frames. */
export const keptSegment = 1 << 14
export const movedSegment = (attempt: number): number => 1 << (14 + attempt)
const allSegments = 0x1fc00
export const orderOfSweep = [allRecords, allLayers, sliceIndex, allSegments] as const

/** What a run of an attempt gathered: frames of both differ, be it by their key. */
export const madeOf = (attempt: number, run: number): number => 1 + (attempt - 1) * 2 + run

const idlePoint: Point = { record: records.absent, below: none, at: 0, base: 0, intent: 0, fence: 0 }
export const idleCollector: Collector = {
  at: 0,
  seen: 0,
  knowsCompaction: 0,
  protectedIds: 0,
  layers: none,
  segments: none,
  part: 0,
  asked: 0,
  condemned: none,
  condemnedPoints: 0,
  begun: none,
  begunPoints: 0,
  hasList: 0,
  isNew: 0,
  removable: none,
}

export const start: World = {
  objects: recordOf(0) | layerOf(0) | segmentOf(0),
  points: [{ ...idlePoint, record: records.first }, idlePoint, idlePoint, idlePoint],
  compaction: {
    target: 0,
    intent: 0,
    fence: 0,
    markers: 0,
    writers: 0,
    index: 0,
    layer: 0,
    runs: [
      { at: 0, attempt: 0 },
      { at: 0, attempt: 0 },
    ],
  },
  restore: { at: 0, target: 0, intent: 0, layers: none },
  collectors: [idleCollector, idleCollector],
}

const point = createCodec<Point>({ record: 3, below: 9, at: 4, base: 3, intent: 3, fence: 2 })
const run = createCodec<Run>({ at: 5, attempt: 2 })
const compaction = createCodec<Omit<Compaction, 'runs'>>({
  target: 3,
  intent: 1,
  fence: 2,
  markers: 2,
  writers: 2,
  index: 3,
  layer: 3,
})
const restore = createCodec<Restore>({ at: 3, target: 3, intent: 1, layers: 9 })
const heard = createCodec<Pick<Collector, 'at' | 'seen' | 'knowsCompaction' | 'protectedIds' | 'layers'>>({
  at: 4,
  seen: 8,
  knowsCompaction: 1,
  protectedIds: 5,
  layers: 9,
})
const looking = createCodec<Pick<Collector, 'segments' | 'part' | 'asked'>>({ segments: 17, part: 2, asked: 6 })
const listed = createCodec<
  Pick<Collector, 'condemned' | 'condemnedPoints' | 'begun' | 'begunPoints' | 'hasList' | 'isNew'>
>({
  condemned: 9,
  condemnedPoints: 4,
  begun: 9,
  begunPoints: 4,
  hasList: 1,
  isNew: 2,
})

/** Words that a world is packed into. */
export const worldWords = 15
const firstCollector = 7
const secondCollector = 11

const collectorWords = 4

const packCollector = (of: Collector, into: Uint32Array, at: number): void => {
  into[at] = heard.pack(of)
  into[at + 1] = listed.pack(of)
  into[at + 2] = looking.pack(of)
  into[at + 3] = of.removable
}

const withRunsSwapped = (world: World): World['compaction'] => {
  const { runs, writers, index, layer, ...rest } = world.compaction
  const swapped = (made: number): number => (made === 0 ? 0 : ((made - 1) ^ 1) + 1)
  const isThere = [1, 2].map((attempt) => ((world.objects & movedSegment(attempt)) === 0 ? 0 : attempt))
  const written = isThere.reduce((all, bit) => all | bit, 0)
  return {
    ...rest,
    writers: ~writers & written,
    index: swapped(index),
    layer: swapped(layer),
    runs: [runs[1], runs[0]],
  }
}

/** Actors of one kind may change places: such worlds are one state, as every step and every rule treats both collectors alike, and both runs, but for
 * what says which of them wrote something, which changes with them. So in a way to a bad state the one that is further is the first. */
export const packWorld = (world: World, into: Uint32Array): void => {
  const { points, collectors } = world
  const isTurned = run.pack(world.compaction.runs[0]) < run.pack(world.compaction.runs[1])
  const of = isTurned ? withRunsSwapped(world) : world.compaction
  into[0] = world.objects
  for (let index = 0; index < pointsMax; index += 1) into[1 + index] = point.pack(points[index] as Point)
  into[5] = compaction.pack(of) | (run.pack(of.runs[0]) << 16)
  into[6] = restore.pack(world.restore) | (run.pack(of.runs[1]) << 16)
  packCollector(collectors[0], into, firstCollector)
  packCollector(collectors[1], into, secondCollector)
  let at = 0
  while (at < collectorWords && into[firstCollector + at] === into[secondCollector + at]) at += 1
  if (at === collectorWords || (into[firstCollector + at] as number) > (into[secondCollector + at] as number)) return
  packCollector(collectors[1], into, firstCollector)
  packCollector(collectors[0], into, secondCollector)
}

const unpackCollector = (words: Uint32Array, at: number): Collector => ({
  ...heard.unpack(words[at] as number),
  ...listed.unpack(words[at + 1] as number),
  ...looking.unpack(words[at + 2] as number),
  removable: words[at + 3] as number,
})

export const unpackWorld = (words: Uint32Array): World => {
  const at = (index: number): number => words[index] as number
  return {
    objects: at(0),
    points: [1, 2, 3, 4].map((index) => point.unpack(at(index))) as unknown as World['points'],
    compaction: { ...compaction.unpack(at(5) & 0xffff), runs: [run.unpack(at(5) >>> 16), run.unpack(at(6) >>> 16)] },
    restore: restore.unpack(at(6) & 0xffff),
    collectors: [unpackCollector(words, firstCollector), unpackCollector(words, secondCollector)],
  }
}
