import { backupSteps, expirySteps, isMakingOwn, restoreSteps } from './backup-steps.ts'
import { keptSegment, packWorld, start, unpackWorld, type World, worldWords } from './collection-state.ts'
import { collectorSteps, isLookingForOthers } from './collector-steps.ts'
import { fenceCompactionSteps, runSteps } from './compaction-steps.ts'
import type { Model } from './explore.ts'
import { movesData, type Step, violationOf } from './names-in-vault.ts'
import type { Protocol } from './protocols.ts'

/** The protocol of expiry, compaction and collection as a model that is explored. */
export const collectionModel = (protocol: Protocol): Model<World> => ({
  words: worldWords,
  initial: movesData(protocol) ? { ...start, objects: start.objects | keptSegment } : start,
  pack: packWorld,
  unpack: unpackWorld,
  violationOf: (world) => violationOf(protocol, world),
  steps: (world) => stepsOf(protocol, world),
})

function* stepsOf(protocol: Protocol, world: World): Generator<Step> {
  const unseen = unseenStep(protocol, world)
  if (unseen !== null) {
    yield unseen
    return
  }
  const { actors } = protocol
  for (let index = 1; index <= actors.backups; index += 1) yield* backupSteps(protocol, world, index)
  yield* expirySteps(protocol, world)
  if (actors.compaction !== 'none') {
    for (let index = 0; index < actors.runs; index += 1) yield* runSteps(protocol, world, index)
    if (actors.fences) yield* fenceCompactionSteps(protocol, world)
  }
  if (actors.restore) yield* restoreSteps(protocol, world)
  for (let index = 0; index < actors.collectors; index += 1) yield* collectorSteps(protocol, world, index)
}

/** A step that nobody else can tell whether it was taken: it reads what nobody writes, and nobody reads what it writes before the same actor's next
 * steps. Every order of the others' steps with it leads to the same worlds, good or bad, so it is taken first and the others wait for it. There are
 * two such: where no backup is fenced, a backup's own segment and layer belong to an id that is not decided, so no pass lists, removes or names
 * them, until its commit; and where there is one collector, its looks at the lists of other passes. Neither can be taken again and again, so nobody waits
 * for ever. */
const unseenStep = (protocol: Protocol, world: World): Step | null => {
  const { actors } = protocol
  if (!actors.fences)
    for (let index = 1; index <= actors.backups; index += 1)
      if (isMakingOwn(world, index)) return first(backupSteps(protocol, world, index))
  const alone = actors.collectors === 1 && world.collectors[0]
  return alone && isLookingForOthers(alone) ? first(collectorSteps(protocol, world, 0)) : null
}

const first = (steps: Generator<Step>): Step | null => steps.next().value ?? null
