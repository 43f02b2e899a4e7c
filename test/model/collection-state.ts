/** The world of the collection model. One old recovery point `P` with one layer over its data; two backups that build on it; a fold that
 * gives it another layer over the same data; a restore of it; its expiry; two collectors. What one storage call does is one step, and
 * a crash is an actor that takes no further step: every such state is visited. */
export interface Backup {
  /** 0 chooseBase, 1 writeIntent, 2 and 3 checkBase and readCondemned, 4 sealDisk, 5 commitRecoveryPoint, 6 dropIntent, 7 ended. */
  readonly at: number
  /** The layer that it builds on; `none` for a full transfer. */
  readonly base: number
  readonly intent: number
  readonly record: number
  /** What the supervisor has done to it as abandoned: 0 nothing, 1 fenced, 2 its intent dropped. It may run all the same. */
  readonly fence: number
}

export interface Collector {
  /** 0 listObjects, 1 readIntents, 2 readRecords, 3 writeCondemned, 4 and 5 the readings again, 6 purge and dropCondemned, 7 ended. */
  readonly at: number
  readonly condemned: number
  /** Before `purge`: what is kept all the same. From then on: what is still to be removed. */
  readonly objects: number
}

export interface World {
  /** Bits: which objects exist. */
  readonly objects: number
  /** The newest revision of `P`. */
  readonly point: number
  readonly backups: readonly [Backup, Backup]
  /** 0 writeIntent, 1 readCondemned, 2 readRecord, 3 mergeLayers, 4 repoint, 5 dropIntent, 6 ended. */
  readonly fold: { readonly at: number; readonly intent: number; readonly fence: number }
  /** 0 writeIntent, 1 readRecord, 2 restoreRange, 3 dropIntent, 4 ended. */
  readonly restore: { readonly at: number; readonly intent: number; readonly layer: number }
  readonly collectors: readonly [Collector, Collector]
  /** 1 where the second collector took up the pass of the first. */
  readonly samePass: number
  /** The one mark of the variant in which collectors share it. */
  readonly sharedMark: number
}

export const none = 0
const data = 1
export const oldLayer = 2
export const foldedLayer = 4
export const ownLayers = [8, 16] as const
const baseOf = [none, oldLayer, foldedLayer] as const

export const points = { first: 0, folded: 1, fenced: 2, expired: 3, foldedExpired: 4, fencedExpired: 5 } as const
export const intents = { absent: 0, alone: 1, onPoint: 2 } as const
export const records = { absent: 0, aborted: 1, full: 2, onOldLayer: 3, onFoldedLayer: 4 } as const

export const isLive = ({ point }: World): boolean => point <= points.fenced
/** The layer that the newest revision of `P` names, or named before it expired. */
export const layerOfPoint = ({ point }: World): number =>
  point === points.folded || point === points.foldedExpired ? foldedLayer : oldLayer
/** The layers of all revisions of `P`. */
export const layersOfAllRevisions = (world: World): number => oldLayer | layerOfPoint(world)

export const recordOf = (base: number): number =>
  base === oldLayer ? records.onOldLayer : base === foldedLayer ? records.onFoldedLayer : records.full
const layersOfRecord = (record: number, own: number): number =>
  record <= records.aborted
    ? none
    : own | (record === records.onOldLayer ? oldLayer : record === records.onFoldedLayer ? foldedLayer : none)

/** Both layers of `P` lie over the same data: a fold moves none. */
export const withData = (layers: number): number => ((layers & (oldLayer | foldedLayer)) === 0 ? layers : layers | data)

/** Everything that the commit records name. */
export const namedByRecords = (world: World): number =>
  withData(
    (isLive(world) ? layerOfPoint(world) : none) |
      layersOfRecord(world.backups[0].record, ownLayers[0]) |
      layersOfRecord(world.backups[1].record, ownLayers[1]),
  )

export const start: World = {
  objects: data | oldLayer,
  point: points.first,
  backups: [
    { at: 0, base: none, intent: intents.absent, record: records.absent, fence: 0 },
    { at: 0, base: none, intent: intents.absent, record: records.absent, fence: 0 },
  ],
  fold: { at: 0, intent: 0, fence: 0 },
  restore: { at: 0, intent: 0, layer: none },
  collectors: [
    { at: 0, condemned: none, objects: none },
    { at: 0, condemned: none, objects: none },
  ],
  samePass: 0,
  sharedMark: none,
}

/** Words that a world is packed into. */
export const worldWords = 4

const packBackup = ({ at, base, intent, record, fence }: Backup): number =>
  at | (baseOf.indexOf(base as 0) << 3) | (intent << 5) | (record << 7) | (fence << 10)
const unpackBackup = (word: number): Backup => ({
  at: word & 7,
  base: baseOf[(word >>> 3) & 3] as number,
  intent: (word >>> 5) & 3,
  record: (word >>> 7) & 7,
  fence: (word >>> 10) & 3,
})
const packCollector = ({ at, condemned, objects }: Collector): number => at | (condemned << 3) | (objects << 8)
const unpackCollector = (word: number): Collector => ({
  at: word & 7,
  condemned: (word >>> 3) & 31,
  objects: (word >>> 8) & 31,
})

const swapOwn = (objects: number): number => (objects & 7) | ((objects & 8) << 1) | ((objects & 16) >>> 1)
const swapped = (collector: Collector): Collector => ({
  ...collector,
  condemned: swapOwn(collector.condemned),
  objects: swapOwn(collector.objects),
})

/** The two backups may change places, and the two collectors: such worlds are one state. One that has not begun comes second. */
const canonical = (world: World): World => {
  const [first, second] = world.backups
  const turned =
    packBackup(first) >= packBackup(second)
      ? world
      : {
          ...world,
          objects: swapOwn(world.objects),
          sharedMark: swapOwn(world.sharedMark),
          backups: [second, first] as const,
          collectors: [swapped(world.collectors[0]), swapped(world.collectors[1])] as const,
        }
  const [one, other] = turned.collectors
  return packCollector(one) >= packCollector(other) ? turned : { ...turned, collectors: [other, one] }
}

export const packWorld = (world: World, into: Uint32Array): void => {
  const { objects, point, backups, fold, restore, collectors, samePass, sharedMark } = canonical(world)
  into[0] = packBackup(backups[0]) | (packBackup(backups[1]) << 12) | (objects << 24)
  into[1] = packCollector(collectors[0]) | (packCollector(collectors[1]) << 13) | (sharedMark << 26)
  into[2] = point | (fold.at << 3) | (fold.intent << 6) | (fold.fence << 7) | (samePass << 9)
  into[3] = restore.at | (restore.intent << 3) | (baseOf.indexOf(restore.layer as 0) << 4)
}

export const unpackWorld = (words: Uint32Array): World => {
  const [first = 0, second = 0, third = 0, fourth = 0] = words
  return {
    objects: (first >>> 24) & 31,
    point: third & 7,
    backups: [unpackBackup(first & 0xfff), unpackBackup((first >>> 12) & 0xfff)],
    fold: { at: (third >>> 3) & 7, intent: (third >>> 6) & 1, fence: (third >>> 7) & 3 },
    restore: { at: fourth & 7, intent: (fourth >>> 3) & 1, layer: baseOf[(fourth >>> 4) & 3] as number },
    collectors: [unpackCollector(second & 0x1fff), unpackCollector((second >>> 13) & 0x1fff)],
    samePass: (third >>> 9) & 1,
    sharedMark: (second >>> 26) & 31,
  }
}
