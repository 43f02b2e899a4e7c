import { expect, it } from 'vitest'
import { collectionModel } from '../model/collection-model.ts'
import { explore } from '../model/explore.ts'
import type { Protocol } from '../model/protocols.ts'
import { inWorld, type WorldName } from '../model/worlds.ts'

/** The worlds that are too large for every test; see test/model. */
it.each<[WorldName, Partial<Protocol>]>([
  ['a backup, two collections, the supervisor', {}],
  ['two backups at a time, a collection', {}],
  ['a rewrite twice under one id and fenced, a collection', {}],
  ['a regathering twice under one id and fenced, a collection', {}],
  ['a backup, a regathering, a collection', {}],
  ['a backup, a rewrite twice under one id, a collection', {}],
  ['a backup, a fold, a collection, the supervisor', {}],
  ['a rewrite that is fenced, two collections', {}],
  ['three backups one after the other, a fold, a collection', {}],
  // Second nets: each of these rules may be missing where the others hold.
  ['a backup, two collections', { readsCondemned: false }],
  ['a backup, two collections', { endsLists: 'always' }],
  ['a backup, two collections', { handshake: 'exists', resumesPasses: false }],
  ['two backups one after the other, a fold, a restore, a collection', { readsCondemned: false }],
  ['two backups one after the other, a fold, a restore, a collection', { keepsUnnamed: 'nothing' }],
])('collection never removes what anybody needs: %s %j', (world, change) => {
  const { states, counterexample } = explore(collectionModel(inWorld(world, change)), 16_000_000)
  console.log(`${world}: ${states} states`)
  expect(counterexample).toBeNull()
  expect(states).toBeGreaterThan(150_000)
})

it.each<[WorldName, Partial<Protocol>]>([
  ['a backup, two collections', { handshake: 'exists', resumesPasses: false, mark: 'shared' }],
  ['two backups one after the other, a fold, a restore, a collection', { marksFoundLater: 'none' }],
])('collection that is wrong is found to lose data: %s %j', (world, change) => {
  const { counterexample } = explore(collectionModel(inWorld(world, change)), 16_000_000, true)
  console.log(counterexample?.steps.join('\n  '))
  expect(counterexample?.violation).toMatch(/gone|misses/)
})
