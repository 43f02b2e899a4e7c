import { expect, it } from 'vitest'
import { collectionModel } from '../model/collection-steps.ts'
import { explore } from '../model/explore.ts'
import { among } from '../model/protocols.ts'

/** The worlds that are too large for every check; see test/model. */
it.each([
  ['a backup, a fold, two collectors, the supervisor', among({ backups: 1, restore: false })],
  ['a backup, a fold, a restore, a collector, the supervisor', among({ backups: 1, collectors: 1 })],
  ['two backups, a fold, a restore, two collectors', among({ fences: false }, { resumesPasses: false })],
])('collection never removes what anybody needs: %s', (name, protocol) => {
  const { states, counterexample } = explore(collectionModel(protocol), 12_000_000)
  console.log(`${name}: ${states} states`)
  expect(counterexample).toBeNull()
  expect(states).toBeGreaterThan(500_000)
})
