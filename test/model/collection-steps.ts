import {
  type Backup,
  type Collector,
  foldedLayer,
  intents,
  isLive,
  layerOfPoint,
  layersOfAllRevisions,
  namedByRecords,
  none,
  oldLayer,
  ownLayers,
  packWorld,
  points,
  recordOf,
  records,
  start,
  unpackWorld,
  type World,
  withData,
  worldWords,
} from './collection-state.ts'
import type { Model } from './explore.ts'

/** The protocol as it is checked, and the ways in which it can be got wrong. */
export interface Protocol {
  readonly actors: {
    readonly backups: number
    readonly fold: boolean
    readonly restore: boolean
    readonly collectors: number
    /** The supervisor takes a running backup, or fold, for abandoned. */
    readonly fences: boolean
  }
  /** `live`: after its intent, a backup reads the base's record again. `exists`: it only looks whether the objects are there. */
  readonly handshake: 'live' | 'exists'
  /** A second process takes up a pass whose first process may still run. */
  readonly resumesPasses: boolean
  readonly mark: 'own' | 'shared'
  readonly writesIntents: boolean
  readonly rereads: 'intentsThenRecords' | 'recordsThenIntents' | 'intents' | 'nothing'
  readonly dropsIntent: 'afterCommit' | 'beforeCommit'
  readonly foldFence: 'nextRevision' | 'none'
  readonly restoreIntent: 'first' | 'afterRecord' | 'none'
}

type Step = { readonly step: string; readonly next: World }

export const collectionModel = (protocol: Protocol): Model<World> => ({
  words: worldWords,
  initial: start,
  pack: packWorld,
  unpack: unpackWorld,
  violationOf,
  steps: (world) => stepsOf(protocol, world),
})

/** What must hold in every state. */
export const violationOf = (world: World): string | null => {
  const missing = namedByRecords(world) & ~world.objects
  if (missing !== none) return `a commit record names objects that are gone (${missing})`
  const { at, layer } = world.restore
  if (at === 2 && (withData(layer) & ~world.objects) !== none) return 'a running restore misses objects'
  return null
}

function* stepsOf(protocol: Protocol, world: World): Generator<Step> {
  const { actors } = protocol
  for (let index = 0; index < actors.backups; index += 1) {
    yield* backupSteps(protocol, world, index)
    if (actors.fences) yield* fenceBackupSteps(world, index)
  }
  if (isLive(world)) yield { step: 'expireRecoveryPoint', next: { ...world, point: world.point + points.expired } }
  if (actors.fold) yield* foldSteps(protocol, world)
  if (actors.restore) yield* restoreSteps(protocol, world)
  for (let index = 0; index < actors.collectors; index += 1) yield* collectorSteps(protocol, world, index)
}

const replace = <Item>(pair: readonly [Item, Item], index: number, change: Partial<Item>): [Item, Item] => {
  const changed: [Item, Item] = [...pair]
  changed[index] = { ...(pair[index] as Item), ...change }
  return changed
}
const backupWith = (world: World, index: number, change: Partial<Backup>): World => ({
  ...world,
  backups: replace(world.backups, index, change),
})
const collectorWith = (world: World, index: number, change: Partial<Collector>): World => ({
  ...world,
  collectors: replace(world.collectors, index, change),
})

/** What the condemned records name at this moment. */
const condemnedOf = (protocol: Protocol, world: World): number => {
  if (protocol.mark === 'shared') return world.sharedMark
  const [one, other] = world.collectors
  if (world.samePass === 1) return one.at === 7 || other.at === 7 ? none : one.condemned
  return [one, other].reduce((all, { at, condemned }) => (at >= 4 && at <= 6 ? all | condemned : all), none)
}

function* backupSteps(protocol: Protocol, world: World, index: number): Generator<Step> {
  const { at, base } = world.backups[index] as Backup
  const next = (step: string, change: Partial<Backup>): Step => ({ step, next: backupWith(world, index, change) })
  // A worker that died before the plan was stored chooses again, under the intent that it left.
  if (at >= 2 && at <= 3) yield next('restart', { at: 0, base: none })
  switch (at) {
    case 0:
      yield next('chooseBase', { at: 1, base: isLive(world) ? layerOfPoint(world) : none })
      return
    case 1:
      yield next('writeIntent', { at: 2, ...writtenIntent(protocol, world.backups[index] as Backup) })
      return
    case 2:
    case 3: {
      const isCondemnedRead = (at === 2) === (protocol.handshake === 'exists')
      const isCondemned = (condemnedOf(protocol, world) & base) !== none
      if (isCondemnedRead) yield next('readCondemned', { at: at + 1, base: isCondemned ? none : base })
      else yield next('checkBase', { at: at + 1, base: checkedBase(protocol, world, base) })
      return
    }
    case 4: {
      const objects = world.objects | (ownLayers[index] as number)
      yield { step: 'sealDisk', next: { ...backupWith(world, index, { at: 5 }), objects } }
      return
    }
    default:
      yield* endingSteps(protocol, world, index)
  }
}

/** An intent that is there already counts: what it does not name is no base. */
const writtenIntent = ({ writesIntents }: Protocol, { base, intent }: Backup): Partial<Backup> => {
  if (!writesIntents) return {}
  if (intent === intents.absent) return { intent: base === none ? intents.alone : intents.onPoint }
  return intent === intents.alone ? { base: none } : {}
}

const checkedBase = ({ handshake }: Protocol, world: World, base: number): number => {
  if (base === none) return none
  if (handshake === 'live') return isLive(world) ? layerOfPoint(world) : none
  return (withData(base) & ~world.objects) === none ? base : none
}

function* endingSteps({ dropsIntent }: Protocol, world: World, index: number): Generator<Step> {
  const { at, base, record } = world.backups[index] as Backup
  if (at > 6) return
  const commit = at === (dropsIntent === 'afterCommit' ? 5 : 6)
  const step = commit ? 'commitRecoveryPoint' : 'dropIntent'
  const change = commit ? { record: record === records.absent ? recordOf(base) : record } : { intent: intents.absent }
  yield { step, next: backupWith(world, index, { at: at + 1, ...change }) }
}

function* fenceBackupSteps(world: World, index: number): Generator<Step> {
  const { fence, record, at } = world.backups[index] as Backup
  if (at === 0 || at === 7) return
  if (fence === 0) {
    const fenced = { fence: 1, record: record === records.absent ? records.aborted : record }
    yield { step: 'fenceRecoveryPoint', next: backupWith(world, index, fenced) }
  }
  if (fence === 1)
    yield { step: 'supervisor dropIntent', next: backupWith(world, index, { fence: 2, intent: intents.absent }) }
}

function* foldSteps(protocol: Protocol, world: World): Generator<Step> {
  const { at, intent, fence } = world.fold
  const next = (step: string, change: Partial<World['fold']>, rest: Partial<World> = {}): Step => ({
    step,
    next: { ...world, ...rest, fold: { ...world.fold, ...change } },
  })
  if (protocol.actors.fences && intent === 1 && fence === 0) {
    const isFree = protocol.foldFence === 'nextRevision' && world.point === points.first
    yield next('fenceFold', { fence: 1 }, isFree ? { point: points.fenced } : {})
  }
  if (protocol.actors.fences && fence === 1) yield next('supervisor dropIntent of fold', { fence: 2, intent: 0 })
  const isFirst = world.point === points.first
  if (at === 0) yield next('writeIntent of fold', { at: 1, intent: 1 })
  if (at === 1) yield next('readCondemned of fold', { at: (condemnedOf(protocol, world) & oldLayer) === none ? 2 : 5 })
  if (at === 2) yield next('readRecord of fold', { at: isFirst ? 3 : 5 })
  if (at === 3) yield next('mergeLayers', { at: 4 }, { objects: world.objects | foldedLayer })
  if (at === 4) yield next('repointRecoveryPoint', { at: 5 }, isFirst ? { point: points.folded } : {})
  if (at === 5) yield next('dropIntent of fold', { at: 6, intent: 0 })
}

function* restoreSteps({ restoreIntent }: Protocol, world: World): Generator<Step> {
  const { at } = world.restore
  const next = (step: string, change: Partial<World['restore']>): Step => ({
    step,
    next: { ...world, restore: { ...world.restore, ...change } },
  })
  const intent = restoreIntent === 'none' ? 0 : 1
  if (at === 0)
    yield next('writeIntent of restore', {
      at: 1,
      ...(restoreIntent === 'afterRecord' ? recordRead(world) : { intent }),
    })
  if (at === 1)
    yield next('readRecord of restore', {
      at: 2,
      ...(restoreIntent === 'afterRecord' ? { intent } : recordRead(world)),
    })
  if (at === 2) yield next('restoreRange', { at: 3, layer: none })
  if (at === 3) yield next('dropIntent of restore', { at: 4, intent: 0 })
}

const recordRead = (world: World): { readonly layer: number } => ({ layer: isLive(world) ? layerOfPoint(world) : none })

function* collectorSteps(protocol: Protocol, world: World, index: number): Generator<Step> {
  const collector = world.collectors[index] as Collector
  const { at, condemned, objects } = collector
  const next = (step: string, change: Partial<Collector>, rest: Partial<World> = {}): Step => ({
    step,
    next: { ...collectorWith(world, index, change), ...rest },
  })
  const other = world.collectors[1 - index] as Collector
  if (protocol.resumesPasses && at === 0 && other.at >= 4 && other.at <= 6)
    yield next('resume a pass', { at: 4, condemned: other.condemned }, { samePass: 1 })
  const isShared = protocol.mark === 'shared'
  if (at === 0) yield next('listObjects', { at: 1, condemned: world.objects })
  if (at === 1) yield next('readIntents', { at: 2, condemned: condemned & ~namedByIntents(world) })
  if (at === 2) {
    const garbage = condemned & garbageOf(world)
    yield next('readRecords', garbage === none ? { at: 0, condemned: none } : { at: 3, condemned: garbage })
  }
  if (at === 3) yield next('writeCondemned', { at: 4 }, isShared ? { sharedMark: condemned } : {})
  if (at === 4 || at === 5) yield next(...readAgain(protocol, world, collector))
  if (at !== 6) return
  const one = objects & -objects
  if (one !== none) yield next('purge', { objects: objects & ~one }, { objects: world.objects & ~one })
  else
    yield next(
      'dropCondemned',
      world.samePass === 1 ? { at: 7 } : { at: 7, condemned: none },
      isShared ? { sharedMark: none } : {},
    )
}

/** What exists, is not named by a commit record, and whose recovery point is decided. Folded layers are decided by their intent. */
const garbageOf = (world: World): number => {
  const undecided = world.backups.reduce(
    (all, { record }, index) => (record === records.absent ? all | (ownLayers[index] as number) : all),
    none,
  )
  return world.objects & ~undecided & ~namedByRecords(world)
}

/** The two readings after the condemned record. */
const readAgain = (
  { rereads }: Protocol,
  world: World,
  { at, condemned, objects }: Collector,
): [string, Partial<Collector>] => {
  const isIntents = rereads === 'intents' || (at === 4) === (rereads === 'intentsThenRecords')
  const read = rereads === 'nothing' ? none : isIntents ? namedByIntents(world) : namedByRecords(world)
  const kept = withData(objects | read) & condemned
  const step = isIntents ? 'readIntents again' : 'readRecords again'
  return [step, at === 4 ? { at: 5, objects: kept } : { at: 6, objects: condemned & ~kept }]
}

/** What intents protect: the objects of the name of each, and every revision of what it depends on. */
const namedByIntents = (world: World): number => {
  const { backups, fold, restore } = world
  const ofPoint = backups.some(({ intent }) => intent === intents.onPoint) || fold.intent + restore.intent > 0
  const own = backups.reduce(
    (all, { intent }, index) => (intent === intents.absent ? all : all | (ownLayers[index] as number)),
    none,
  )
  return withData((ofPoint ? layersOfAllRevisions(world) : none) | own | (fold.intent === 1 ? foldedLayer : none))
}

/** Ends everything as the supervisor would after all workers died at this state, then lets one collector make a pass that nobody
 * disturbs, twice, by the steps above. What is left is what the commit records name, or there is garbage that stays. */
export const garbageAfterQuiet = (protocol: Protocol, world: World): number => {
  const idle: Collector = { at: 0, condemned: none, objects: none }
  let now: World = { ...world, samePass: 0, sharedMark: none, collectors: [idle, idle] }
  for (let index = 0; index < 2; index += 1) {
    const { record, at } = now.backups[index] as Backup
    const decided = record === records.absent && at > 0 ? records.aborted : record
    now = backupWith(now, index, { record: decided, intent: intents.absent })
  }
  now = { ...now, fold: { ...now.fold, intent: 0 }, restore: { ...now.restore, intent: 0 } }
  for (let pass = 0; pass < 2; pass += 1) {
    now = { ...now, collectors: [idle, idle] }
    do {
      const [first] = collectorSteps({ ...protocol, resumesPasses: false }, now, 0)
      now = first?.next ?? now
    } while (now.collectors[0].at > 0 && now.collectors[0].at < 7)
  }
  return now.objects & ~namedByRecords(now)
}
