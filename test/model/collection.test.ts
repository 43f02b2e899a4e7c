import { describe, expect, it } from 'vitest'
import { collectionModel } from './collection-model.ts'
import { explore } from './explore.ts'
import type { Protocol } from './protocols.ts'
import { inWorld, type WorldName, withQuietPasses } from './worlds.ts'

/** Every order in which the steps of running backups, compactions, restores, expiries, the supervisor and collections can follow each other is gone
 * through, step by step, with every crash: the steps are those of shared/vault, one storage call each (step-names.test.ts). Then the same with a rule of
 * the protocol left out, which must be seen to lose data: else the model would prove nothing. Larger worlds are in test/sim/model and test/soak. */

const shown = (steps: readonly string[]): string => `\n  ${steps.join('\n  ')}`

describe('the protocol of collection', () => {
  it.each<[WorldName, number]>([
    ['two backups one after the other, a collection', 50_000],
    ['a backup, a collection, the supervisor', 20_000],
    ['a rewrite twice under one id, a collection', 35_000],
  ])('never removes what anybody needs: %s', (world, statesMin) => {
    const { states, badStates, counterexample } = explore(collectionModel(inWorld(world)))
    console.log(`${world}: ${states} states`)
    expect(counterexample).toBeNull()
    expect(badStates).toBe(0)
    expect(states).toBeGreaterThanOrEqual(statesMin)
  })

  it.each<WorldName>(['a restore, a collection', 'a backup, a collection', 'a rewrite that is fenced, a collection'])(
    'leaves no garbage after two quiet passes, wherever all die: %s',
    (world) => {
      expect(explore(withQuietPasses(inWorld(world))).counterexample).toBeNull()
    },
  )
})

/** Each is found with one rule wrong, or with two where one is the other's second net: see below which those are. */
const wrong: readonly (readonly [string, WorldName, Partial<Protocol>, RegExp])[] = [
  ['a restore without an intent', 'a restore, a collection', { restoreIntent: 'none' }, /misses/],
  [
    'a restore that reads the record before it writes its intent',
    'a restore, a collection',
    { restoreIntent: 'afterRecord' },
    /misses/,
  ],
  ['a backup without an intent', 'a backup, a collection', { writesIntents: false }, /gone/],
  [
    'a backup that drops its intent before its commit',
    'a backup, a collection',
    { dropsIntent: 'beforeCommit' },
    /gone/,
  ],
  [
    'a backup that neither reads its base again nor what is condemned',
    'a backup, a collection',
    { handshake: 'exists', readsCondemned: false },
    /gone/,
  ],
  [
    'commit records read before the intents, once',
    'a backup, a collection',
    { order: 'recordsThenIntents', looksAgain: 'atNothing' },
    /gone/,
  ],
  [
    'newest revisions alone of what is found later, and no second look',
    'two backups one after the other, a collection',
    { marksFoundLater: 'none', looksAgain: 'atNothing' },
    /gone/,
  ],
  [
    'newest revisions alone of what is found later, and no segments of unnamed layers',
    'two backups one after the other, a collection',
    { marksFoundLater: 'none', keepsUnnamed: 'layers' },
    /gone/,
  ],
  ['a compaction without an intent', 'a rewrite that is fenced, a collection', { writesIntents: false }, /gone/],
  ['a stale fold that nobody fences', 'a fold that is fenced, a collection', { foldFence: 'none' }, /gone/],
  ['a stale rewrite that nobody fences', 'a rewrite that is fenced, a collection', { foldFence: 'none' }, /gone/],
  [
    'segments that go with the layer that is condemned',
    'a rewrite that is fenced, a collection',
    { frees: 'segmentsOfCondemned' },
    /gone/,
  ],
  [
    'compactions learnt of after the intents, and segments made while a pass is under way',
    'a rewrite that is fenced, a collection',
    { learnsCompactions: 'afterIntents', foldWaits: false },
    /gone/,
  ],
  [
    'commit records read before the intents of a compaction, once',
    'a rewrite that is fenced, a collection',
    { order: 'recordsThenIntents', looksAgain: 'atNothing' },
    /gone/,
  ],
  [
    'an id used again without a new attempt, and without a proof',
    'a regathering twice under one id, a collection',
    { attempts: 'reused', provesSegments: false },
    /another run/,
  ],
]

describe('the protocol of collection, with a rule left out,', () => {
  it.each(wrong)('loses data: %s', (name, world, change, violation) => {
    const { states, counterexample } = explore(collectionModel(inWorld(world, change)), undefined, true)
    console.log(`${name}: found after ${states} states${shown(counterexample?.steps ?? [])}`)
    expect(counterexample?.violation).toMatch(violation)
  })

  it.each<[string, WorldName, Partial<Protocol>]>([
    ['what is condemned is not asked for', 'a backup, a collection', { readsCondemned: false }],
    ['compactions are learnt of late', 'a rewrite that is fenced, a collection', { learnsCompactions: 'afterIntents' }],
    ['a rewrite does not wait', 'a rewrite that is fenced, a collection', { foldWaits: false }],
    ['a run does not ask for its revision', 'a rewrite that is fenced, a collection', { checksRevisions: false }],
  ])('is safe by a second one: %s', (_, world, change) => {
    expect(explore(collectionModel(inWorld(world, change))).counterexample).toBeNull()
  })
})
