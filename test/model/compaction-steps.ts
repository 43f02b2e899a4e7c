import {
  foldedLayer,
  madeOf,
  movedSegment,
  none,
  pointsMax,
  type Run,
  recordOf,
  records,
  sliceIndex,
  type World,
} from './collection-state.ts'
import { condemnedNow, isForeign, isLive, pointAt, replace, type Step, stackOf, withPoint } from './names-in-vault.ts'
import type { Protocol } from './protocols.ts'

/** What a run may do next. A run whose call throws is dead: what it declared stays, for the other run, or for whoever fences it. Proofs of layers
 * are left out: a run that proves less goes on further. */
export const runOrder = [
  'readLivePoints',
  'isCollecting',
  'writeIntent',
  'isCollecting again',
  'undecided',
  'readSliceIndex',
  'takeNumber',
  'createSegmentWriter',
  'create slice index',
  'proveSlice',
  'foldLayers',
  'commitRevision',
  'postpone: readIntent',
  'fence: commitRevision',
  'fence: remove markers',
  'fence: dropIntent',
  'ended',
] as const
type RunStep = (typeof runOrder)[number]

const runAt = (step: RunStep): number => runOrder.indexOf(step)

type Compaction = World['compaction']

const withCompaction = (world: World, change: Partial<Compaction>): World => ({
  ...world,
  compaction: { ...world.compaction, ...change },
})

export function* runSteps(protocol: Protocol, world: World, index: number): Generator<Step> {
  const { runs, target } = world.compaction
  const run = runs[index] as Run
  const name = runOrder[run.at] as RunStep
  const goTo = (step: RunStep, from: World = world, change: Partial<Run> = {}): Step => ({
    step: `compaction ${index + 1}: ${name}`,
    next: withCompaction(from, { runs: replace(runs, index, { at: runAt(step), ...change }) }),
  })
  switch (name) {
    case 'readLivePoints': {
      const found = newestFirst(protocol, world)
      if (found !== 0 && (target === 0 || target === found))
        yield goTo('isCollecting', withCompaction(world, { target: found }))
      return
    }
    case 'isCollecting':
      yield goTo(mustWait(protocol, world) ? 'postpone: readIntent' : 'writeIntent')
      return
    case 'writeIntent':
      yield goTo('isCollecting again', withCompaction(world, { intent: protocol.writesIntents ? 1 : 0 }))
      return
    case 'isCollecting again':
      yield goTo(mustWait(protocol, world) ? 'postpone: readIntent' : 'undecided')
      return
    case 'undecided':
      yield goTo(isOpen(protocol, world) ? firstMaking(protocol) : 'fence: commitRevision')
      return
    case 'postpone: readIntent':
      yield goTo(world.compaction.intent === 1 ? 'fence: commitRevision' : 'ended')
      return
    case 'commitRevision':
      yield goTo('fence: commitRevision', revised(world, records.folded))
      return
    case 'fence: commitRevision':
      yield goTo('fence: remove markers', fenced(protocol, world))
      return
    case 'fence: remove markers':
      yield goTo('fence: dropIntent', withCompaction(world, { markers: 0 }))
      return
    case 'fence: dropIntent':
      yield goTo('ended', withCompaction(world, { intent: 0 }), { attempt: 0 })
      return
    case 'ended':
      return
    default:
      yield* makingSteps(protocol, world, index, name, goTo)
  }
}

/** Both runs find the same to do as long as the revision is nobody's. */
const newestFirst = ({ actors }: Protocol, world: World): number => {
  for (let index = pointsMax - 1; index >= 0; index -= 1) {
    const point = pointAt(world, index)
    const isUsed = ((actors.used >> index) & 1) === 1
    if (isLive(point)) return isUsed && point.record === records.first ? index + 1 : 0
  }
  return 0
}

/** The layer to be made is condemned; one that makes segments waits for every pass. */
const mustWait = ({ foldWaits, actors }: Protocol, world: World): boolean => {
  const { layers, lists } = condemnedNow(world)
  return foldWaits && ((layers & foldedLayer) !== none || (actors.compaction !== 'fold' && lists > 0))
}

const isFirst = (world: World): boolean => {
  const target = world.compaction.target - 1
  return pointAt(world, target).record === records.first && (world.objects & recordOf(target)) !== 0
}

const isOpen = ({ checksRevisions }: Protocol, world: World): boolean => !checksRevisions || isFirst(world)

const firstMaking = ({ actors }: Protocol): RunStep => {
  if (actors.compaction === 'fold') return 'foldLayers'
  return actors.compaction === 'rewrite' ? 'createSegmentWriter' : 'readSliceIndex'
}

/** Exactly one creator of the next revision. */
const revised = (world: World, record: number): World =>
  isFirst(world) ? withPoint(world, world.compaction.target - 1, { record }) : world

const fenced = ({ foldFence }: Protocol, world: World): World =>
  foldFence === 'nextRevision' ? revised(world, records.fenced) : world

/** Of a rewrite, names and bytes of segments follow from what is moved. What is gathered is written under an attempt's own names, as its frames
 * differ; the slice index says which attempt counts. */
function* makingSteps(
  protocol: Protocol,
  world: World,
  index: number,
  name: RunStep,
  goTo: (step: RunStep, from?: World, change?: Partial<Run>) => Step,
): Generator<Step> {
  const { compaction, objects } = world
  const { attempt } = compaction.runs[index] as Run
  const isIndexThere = (objects & sliceIndex) !== 0
  if (name === 'readSliceIndex') yield goTo(isIndexThere ? 'proveSlice' : 'takeNumber')
  if (name === 'takeNumber') {
    const taken = protocol.attempts === 'reused' || (compaction.markers & 1) === 0 ? 1 : 2
    if (protocol.attempts === 'reused' || compaction.markers !== 3)
      yield goTo('createSegmentWriter', withCompaction(world, { markers: compaction.markers | taken }), {
        attempt: taken,
      })
  }
  if (name === 'createSegmentWriter') yield* createSegment(protocol, world, index, attempt, goTo)
  if (name === 'create slice index') {
    const change = isIndexThere ? {} : { index: madeOf(attempt, index) }
    yield goTo('proveSlice', { ...withCompaction(world, change), objects: objects | sliceIndex })
  }
  if (name === 'proveSlice') {
    const isWhole = isIndexThere && !(protocol.provesSegments && isUnproven(world))
    yield goTo(isWhole ? 'foldLayers' : 'ended')
  }
  if (name === 'foldLayers') yield goTo(...folded(protocol, world))
}

const isUnproven = (world: World): boolean => {
  const { index } = world.compaction
  return (world.objects & movedSegment(((index - 1) >> 1) + 1)) === 0 || isForeign(world, index)
}

function* createSegment(
  { actors, provesSegments }: Protocol,
  world: World,
  index: number,
  attempt: number,
  goTo: (step: RunStep, from?: World, change?: Partial<Run>) => Step,
): Generator<Step> {
  if (actors.compaction === 'rewrite') {
    yield goTo('foldLayers', { ...world, objects: world.objects | movedSegment(1) })
    return
  }
  const isThere = (world.objects & movedSegment(attempt)) !== 0
  const bit = 1 << (attempt - 1)
  const writers = isThere ? world.compaction.writers : (world.compaction.writers & ~bit) | (index << (attempt - 1))
  const isOther = isThere && isForeign(world, madeOf(attempt, index))
  if (isOther && provesSegments) yield goTo('ended')
  else
    yield goTo('create slice index', {
      ...withCompaction(world, { writers }),
      objects: world.objects | movedSegment(attempt),
    })
}

/** Reads what it is made of. A layer that is there must be the same. */
const folded = ({ actors }: Protocol, world: World): [RunStep, World?] => {
  const { target, index, layer } = world.compaction
  const isRegathered = actors.compaction === 'regather'
  const from = stackOf(world, target - 1) | (isRegathered ? sliceIndex : none)
  if ((from & ~world.objects) !== none) return ['ended']
  const isThere = (world.objects & foldedLayer) !== 0
  if (isThere && isRegathered && layer !== index) return ['ended']
  return [
    'commitRevision',
    { ...withCompaction(world, { layer: isRegathered ? index : 0 }), objects: world.objects | foldedLayer },
  ]
}

/** Another compaction of the VM has found something else to do: it ends what it finds declared. */
export function* fenceCompactionSteps(protocol: Protocol, world: World): Generator<Step> {
  const { intent, fence } = world.compaction
  if (fence === 0 && intent === 1)
    yield { step: 'fenceCompaction: commitRevision', next: withCompaction(fenced(protocol, world), { fence: 1 }) }
  if (fence === 1)
    yield { step: 'fenceCompaction: remove markers', next: withCompaction(world, { fence: 2, markers: 0 }) }
  if (fence === 2) yield { step: 'fenceCompaction: dropIntent', next: withCompaction(world, { fence: 0, intent: 0 }) }
}
