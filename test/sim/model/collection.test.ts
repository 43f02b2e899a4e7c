import { describe, expect, it } from 'vitest'
import { collectionModel } from '../../model/collection-model.ts'
import { explore } from '../../model/explore.ts'
import type { Protocol } from '../../model/protocols.ts'
import { inWorld, type WorldName, withQuietPasses } from '../../model/worlds.ts'

/** The worlds that every check is too short for; the smaller ones are in test/model, larger ones in test/soak. */
describe('the protocol of collection', () => {
  it.each<[WorldName, number]>([
    ['a regathering twice under one id, a collection', 80_000],
    ['a backup, a fold, a collection', 130_000],
    ['a fold twice under one id and fenced, a collection', 100_000],
    ['a backup, two collections', 250_000],
    ['two backups one after the other, a fold, a restore, a collection', 500_000],
  ])('never removes what anybody needs: %s', (world, statesMin) => {
    const { states, badStates, counterexample } = explore(collectionModel(inWorld(world)))
    console.log(`${world}: ${states} states`)
    expect(counterexample).toBeNull()
    expect(badStates).toBe(0)
    expect(states).toBeGreaterThan(statesMin)
  })

  it.each<WorldName>([
    'a fold that is fenced, a collection',
    'two backups one after the other, a collection',
    'a regathering twice under one id, a collection',
    'a fold, a restore, a collection, the supervisor',
  ])('leaves no garbage after two quiet passes, wherever all die: %s', (world) => {
    expect(explore(withQuietPasses(inWorld(world))).counterexample).toBeNull()
  })

  it.each<[string, WorldName, Partial<Protocol>]>([
    ['unnamed layers are not kept', 'two backups one after the other, a collection', { keepsUnnamed: 'nothing' }],
    ['attempts are not counted', 'a regathering twice under one id, a collection', { attempts: 'reused' }],
    ['segments are not proven', 'a regathering twice under one id, a collection', { provesSegments: false }],
  ])('is safe by a second rule where one is left out: %s', (_, world, change) => {
    expect(explore(collectionModel(inWorld(world, change))).counterexample).toBeNull()
  })
})

describe('the protocol of collection, with a rule left out,', () => {
  const chain = 'two backups one after the other, a fold, a restore, a collection'
  it.each<[string, WorldName, Partial<Protocol>]>([
    [
      'a pass taken up by a second process, where backups do not read their base again',
      'a backup, two collections',
      { handshake: 'exists' },
    ],
    ['commit records read before the intents', 'a backup, a fold, a collection', { order: 'recordsThenIntents' }],
    ['intents read again, commit records not', 'a backup, a fold, a collection', { looksAgain: 'atIntents' }],
    ['nothing read again', 'a backup, a fold, a collection', { looksAgain: 'atNothing' }],
    ['newest revisions alone of what a later look finds and no intent names', chain, { marksFoundLater: 'named' }],
  ])('loses data: %s', (name, world, change) => {
    const { states, counterexample } = explore(collectionModel(inWorld(world, change)), undefined, true)
    console.log(`${name}: found after ${states} states\n  ${counterexample?.steps.join('\n  ')}`)
    expect(counterexample?.violation).toMatch(/gone|misses/)
  })
})
