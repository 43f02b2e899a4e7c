import { ControlObjectError } from '../../shared/jobs/json-object.ts'
import { createFakeKeyWrapper } from './fake-key-wrapper.ts'
import { createMemoryBlobStore } from './memory-blob-store.ts'
import { acts } from './random-history-acts.ts'
import { expectSettled, settle } from './random-history-end.ts'
import type { History } from './random-history-model.ts'
import { addVm, metDamage } from './random-history-model.ts'
import type { HistoryWorld } from './random-history-world.ts'
import { withSeededChance } from './seeded-chance.ts'
import { type SeededRandom, seededRandom } from './seeded-random.ts'
import { createStorageRules } from './storage-rules.ts'
import { virtualClock } from './virtual-clock.ts'

/** What happens in a history, in order: each act draws from a seed of its own, so that others can be left out. */
interface Act {
  readonly kind: keyof typeof acts
  readonly seed: number
}

/** How often an act comes up, of all together. */
type Weights = Readonly<Record<keyof typeof acts, number>>

const quietWeights: Weights = {
  backUp: 36,
  expire: 17,
  compact: 18,
  collect: 12,
  wake: 9,
  resize: 7,
  exchangeDisk: 6,
  loseCopies: 3,
  giveUp: 3,
  restore: 5,
  rotateDataKey: 2,
  rotateWrappingKey: 2,
  scrub: 3,
  check: 3,
  damage: 0,
  lose: 0,
  mend: 0,
  heal: 0,
}

/** In a third of all histories storage damages what it holds. */
const damagingWeights = { ...quietWeights, check: 6, scrub: 8, restore: 8, damage: 16, mend: 4, heal: 6 }

/** In another sixth records, keys and control objects are lost or damaged, too. */
const losingWeights = { ...damagingWeights, damage: 3, lose: 14, rotateDataKey: 5, rotateWrappingKey: 5, compact: 30 }

/** A history begins with this many backups. */
const firstBackups = 3
const actsMin = 7
const actsBelow = 16

const drawActs = (random: SeededRandom, weights: Weights): readonly Act[] => {
  const kinds = (Object.keys(weights) as (keyof typeof acts)[]).flatMap((kind) =>
    Array.from({ length: weights[kind] }, () => kind),
  )
  const count = actsMin + random.below(actsBelow)
  return Array.from({ length: count }, (_, number) => ({
    kind: number < firstBackups ? 'backUp' : (kinds[random.below(kinds.length)] ?? 'backUp'),
    seed: random.below(2 ** 31),
  }))
}

/** Some VMs, half of them made from one image, and limits so small that their disks have many frames, segments and shards. */
const openHistory = (seed: number): History => {
  const random = seededRandom(seed)
  const names = 3 + random.below(60)
  const store = () => createMemoryBlobStore(new Map(), createStorageRules({ softDeleteDays: 30 }), names)
  const world: HistoryWorld = {
    vault: store(),
    control: store(),
    clock: virtualClock(),
    platform: { vms: [], copies: new Map(), taken: new Map(), canDiff: true },
    wrapper: random.below(3) > 0 ? createFakeKeyWrapper() : null,
    tuning: {
      gapBytes: random.below(3) * 4096,
      readBytesMax: 4096 * (1 + random.below(8)),
      readAheadBytes: 64 * 1024,
      readsInFlightMax: 1 + random.below(5),
      frameCapacityBytes: 4096 * (1 + random.below(6)),
      segmentBytes: 1024 * (20 + random.below(60)),
      shardFramesMax: 1 + random.below(4),
      shardRunsMax: 2 + random.below(30),
    },
    tokens: 0,
  }
  const history: History = {
    world,
    states: new Map(),
    sleepers: [],
    givenUp: new Set(),
    deadRestores: [],
    damaged: new Map(),
    everDamaged: new Set(),
    unsure: new Set(),
    everUnsure: new Set(),
    story: [],
    counts: { passes: 0, restores: 0, disks: 0, expiries: 0 },
    isWide: random.below(20) === 0,
    image: random.bytes(4096 * (2 + random.below(20))),
  }
  for (let left = 1 + random.below(3); left > 0; left -= 1) addVm(history, random)
  return history
}

interface Played {
  readonly story: readonly string[]
  /** Null where all is well. */
  readonly error: Error | null
}

const play = (seed: number, script: readonly Act[]): Promise<Played> =>
  withSeededChance(seed, async () => {
    const history = openHistory(seed)
    try {
      for (const [number, { kind, seed: actSeed }] of script.entries()) {
        history.world.clock.advance(7 * 3600 * 1000)
        const told = await orRefused(history, () => acts[kind](history, seededRandom(actSeed)))
        history.story.push(`${number} ${kind}: ${told}`)
      }
      history.story.push('end')
      await settle(history, seededRandom(seed + 1))
      await expectSettled(history)
      return { story: history.story, error: null }
    } catch (error) {
      return { story: history.story, error: error as Error }
    }
  })

/** An act that looks at the control container by itself may find it damaged, too. */
const orRefused = async (history: History, act: () => Promise<string>): Promise<string> => {
  try {
    return await act()
  } catch (error) {
    if (error instanceof ControlObjectError && metDamage(history, error)) return `refused (${error.message})`
    throw error
  }
}

/** Runs that a failure is made smaller by, at most. */
const shrinkRunsMax = 250

/** Leaves out what the failure does not need. */
const shrink = async (seed: number, script: readonly Act[], first: Played): Promise<Played> => {
  let failure = first
  let rest = script
  let runs = 0
  for (let chunk = Math.ceil(script.length / 2); chunk >= 1; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2))
    for (let at = 0; at < rest.length && runs < shrinkRunsMax; runs += 1) {
      const less = [...rest.slice(0, at), ...rest.slice(at + chunk)]
      const fails = await play(seed, less)
      if (fails.error === null) at += chunk
      else {
        failure = fails
        rest = less
      }
    }
  return failure
}

const weightsOf = (seed: number): Weights => {
  if (seed % 3 === 0) return damagingWeights
  return seed % 6 === 1 ? losingWeights : quietWeights
}

/** A history of writes, backups, expiries, folds, collections, restores and changes of keys over one to three VMs, in which processes die, or
 * sleep at any storage call while others go on, and storage damages objects in a third of them; in a sixth records, keys and control objects are lost, too. Every recovery point that lives restores to what was copied, all the time; when all have
 * ended and two collections have passed, nothing is left that nothing needs. The same seed gives the same history.
 * @returns the story
 * @throws Error with the story of the shortest history that still fails */
export const runRandomHistory = async (seed: number): Promise<readonly string[]> => {
  const script = drawActs(seededRandom(seed ^ 0x5eed), weightsOf(seed))
  const played = await play(seed, script)
  if (played.error === null) return played.story
  const { story, error } = await shrink(seed, script, played)
  throw new Error(`The history of seed ${seed} fails: ${error?.message}\n${story.join('\n')}`, { cause: error })
}
