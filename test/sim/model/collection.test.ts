import { expect, it } from 'vitest'
import { collectionModel } from '../../model/collection-steps.ts'
import { explore } from '../../model/explore.ts'
import { among } from '../../model/protocols.ts'

/** The world that every check is too short for; the others are in test/model, larger ones in test/soak. */
it('collection never removes what anybody needs: two backups, two collectors, the supervisor', () => {
  const { states, badStates, counterexample } = explore(
    collectionModel(among({ fold: false, restore: false })),
    12_000_000,
  )
  console.log(`two backups, two collectors, the supervisor: ${states} states`)
  expect(counterexample).toBeNull()
  expect(badStates).toBe(0)
  expect(states).toBeGreaterThan(50_000)
})
