import {
  expiredFromLive,
  layerOf,
  none,
  pointsMax,
  recordOf,
  records,
  segmentOf,
  type World,
} from './collection-state.ts'
import { condemnedNow, isLive, newestStackOf, pointAt, type Step, segmentsOf, withPoint } from './names-in-vault.ts'
import type { Protocol } from './protocols.ts'

/** In order; the last two change places in a variant. What a commit asks of its parents is left out: a backup that asks less goes on further. */
export const backupOrder = [
  'latestReadableRecoveryPoint',
  'writeIntent',
  'rereadRecoveryPoint',
  'readCondemned',
  'transferSlice',
  'sealDisk',
  'commitRecoveryPoint',
  'dropIntent',
] as const
const ended = backupOrder.length

export function* backupSteps(protocol: Protocol, world: World, index: number): Generator<Step> {
  const { at, base, fence } = pointAt(world, index)
  const next = (name: string, change: Partial<World['points'][0]>, objects = none): Step => ({
    step: `backup ${index}: ${name}`,
    next: { ...withPoint(world, index, change), objects: world.objects | objects },
  })
  if (at === 0 && protocol.actors.claim && !isFree(world, index - 1)) return
  // A worker that died before the plan was stored chooses again, under the intent that it left.
  if (protocol.actors.restarts && (at === 2 || at === 3)) yield next('restart', { at: 0, base: 0, below: none })
  if (protocol.actors.fences && at > 0 && at < ended) {
    if (fence === 0) yield next('fenceRecoveryPoint', { fence: 1, ...decided(world, index, records.aborted) })
    if (fence === 1) yield next('fenceRecoveryPoint dropIntent', { fence: 2, intent: 0 })
  }
  const isTurned = protocol.handshake === 'exists' && (at === 2 || at === 3)
  const name = backupOrder[isTurned ? 5 - at : at] ?? ''
  const then = at + 1
  if (at === 0) yield next(name, { at: then, ...newestBefore(world, index) })
  if (at === 1) yield next(name, { at: then, ...intentWritten(protocol, world, index) })
  if (name === 'rereadRecoveryPoint') yield next(name, { at: then, ...checkedBase(protocol, world, index) })
  if (name === 'readCondemned') yield next(name, { at: then, ...notCondemned(protocol, world, index, base) })
  if (at === 4) yield next(name, { at: then }, segmentOf(index))
  if (at === 5) yield next(name, { at: then }, layerOf(index))
  if (at === 6 || at === 7) yield endingStep(protocol, world, index, next)
}

/** Its next step makes an object under its own id. */
export const isMakingOwn = (world: World, index: number): boolean => {
  const { at } = pointAt(world, index)
  return at === 4 || at === 5
}

const isFree = (world: World, index: number): boolean =>
  index === 0 || pointAt(world, index).at === ended || pointAt(world, index).fence === 2

const newestBefore = (world: World, index: number) => {
  for (let at = pointsMax - 1; at >= 0; at -= 1)
    if (at !== index && isLive(pointAt(world, at))) return { base: at + 1, below: newestStackOf(world, at) }
  return { base: 0, below: none }
}

/** An intent that is there already counts: what it does not name is no base. */
const intentWritten = ({ writesIntents }: Protocol, world: World, index: number) => {
  const { base, intent } = pointAt(world, index)
  if (!writesIntents) return {}
  if (intent === 0) return { intent: base + 1 }
  return intent === base + 1 ? {} : { base: 0, below: none }
}

const checkedBase = (protocol: Protocol, world: World, index: number) => {
  const { base } = pointAt(world, index)
  if (base === 0) return { below: none }
  if (protocol.handshake === 'live') {
    const below = newestStackOf(world, base - 1)
    return below === none ? { base: 0, below } : { below }
  }
  const { below } = pointAt(world, index)
  const isThere = ((below | segmentsOf(protocol, world, below)) & ~world.objects) === none
  return isThere ? { below } : { base: 0, below: none }
}

const notCondemned = ({ readsCondemned }: Protocol, world: World, index: number, base: number) => {
  const { layers, points } = condemnedNow(world)
  const isCondemned =
    base > 0 && ((layers & pointAt(world, index).below) !== none || ((points >> (base - 1)) & 1) === 1)
  return readsCondemned && isCondemned ? { base: 0, below: none } : {}
}

const decided = (world: World, index: number, record: number) =>
  pointAt(world, index).record === records.absent ? { record } : {}

const endingStep = (
  { dropsIntent }: Protocol,
  world: World,
  index: number,
  next: (name: string, change: Partial<World['points'][0]>, objects?: number) => Step,
): Step => {
  const { at, record } = pointAt(world, index)
  const isCommit = (at === 6) === (dropsIntent === 'afterCommit')
  if (!isCommit) return next('dropIntent', { at: at + 1, intent: 0 })
  const objects = record === records.absent ? recordOf(index) : none
  return next('commitRecoveryPoint', { at: at + 1, ...decided(world, index, records.first) }, objects)
}

export function* expirySteps({ actors }: Protocol, world: World): Generator<Step> {
  for (let index = 0; index < pointsMax; index += 1) {
    const { record } = pointAt(world, index)
    if (!isLive(pointAt(world, index)) || ((actors.expiring >> index) & 1) === 0) continue
    const next = withPoint(world, index, { record: record + expiredFromLive })
    yield { step: `expireRecoveryPoint ${index}`, next }
  }
}

/** In order: the names are those of planVmRestore and of what follows it. */
export const restoreOrder = ['writeIntent', 'readRecoveryPoint', 'restoreRange', 'dropIntent'] as const

export function* restoreSteps({ actors, restoreIntent }: Protocol, world: World): Generator<Step> {
  const { at, target } = world.restore
  const next = (change: Partial<World['restore']>): Step => ({
    step: `restore: ${restoreOrder[at]}`,
    next: { ...world, restore: { ...world.restore, ...change } },
  })
  const intent = restoreIntent === 'none' ? 0 : 1
  const isRecordFirst = restoreIntent === 'afterRecord'
  if (at === 0)
    for (let index = 0; index < pointsMax; index += 1)
      if (isLive(pointAt(world, index)) && ((actors.used >> index) & 1) === 1)
        yield next({
          at: 1,
          target: index + 1,
          ...(isRecordFirst ? { layers: newestStackOf(world, index) } : { intent }),
        })
  if (at === 1) yield next({ at: 2, ...(isRecordFirst ? { intent } : { layers: newestStackOf(world, target - 1) }) })
  if (at === 2) yield next({ at: 3, layers: none })
  if (at === 3) yield next({ at: 4, intent: 0 })
}
