import { describe, expect, it } from 'vitest'
import type { World } from './collection-state.ts'
import { collectionModel, garbageAfterQuiet, type Protocol, violationOf } from './collection-steps.ts'
import { explore, type Model } from './explore.ts'
import { among } from './protocols.ts'

/** Every order in which the steps of running backups, folds, restores, an expiry, the supervisor and collectors can follow each other is
 * gone through, step by step, with every crash: the steps are those of shared/vault, one storage call each. Then the same with one rule
 * of the protocol left out, which must be seen to lose data: else the model would prove nothing. Larger worlds are in test/sim/model and test/soak. */

/** Also says where two passes that nobody disturbs would leave garbage, or take too much. */
const withQuietPasses = (protocol: Protocol): Model<World> => ({
  ...collectionModel(protocol),
  violationOf: (world) =>
    violationOf(world) ?? (garbageAfterQuiet(protocol, world) === 0 ? null : 'two quiet passes leave garbage'),
})

const twoBackups = { fold: false, restore: false }
const backupAndFold = { backups: 1, restore: false }
const foldAndRestore = { backups: 0 }

describe('the protocol of collection', () => {
  const worlds: readonly (readonly [string, Protocol])[] = [
    ['a backup, a fold, two collectors', among({ ...backupAndFold, fences: false })],
    ['a backup, a fold, a collector, the supervisor', among({ ...backupAndFold, collectors: 1 })],
    ['a fold, a restore, two collectors, the supervisor', among(foldAndRestore)],
  ]
  it.each(worlds)('never removes what anybody needs: %s', { timeout: 300_000 }, (name, protocol) => {
    const { states, badStates, counterexample } = explore(collectionModel(protocol), 12_000_000)
    console.log(`${name}: ${states} states`)
    expect(counterexample).toBeNull()
    expect(badStates).toBe(0)
    expect(states).toBeGreaterThan(50_000)
  })

  it.each([
    ['two backups, two collectors', among({ ...twoBackups, fences: false })],
    ['a backup, a fold, a collector, the supervisor', among({ ...backupAndFold, collectors: 1 })],
    ['a fold, a restore, two collectors, the supervisor', among(foldAndRestore)],
  ])('leaves no garbage after two quiet passes, wherever all die: %s', (_, protocol) => {
    expect(explore(withQuietPasses(protocol)).counterexample).toBeNull()
  })

  it('is safe for backups also where they only look whether objects are there, as long as a pass has one process', () => {
    const protocol = among({ ...twoBackups, fences: false }, { handshake: 'exists', resumesPasses: false })
    expect(explore(collectionModel(protocol)).badStates).toBe(0)
  })
})

describe('the protocol of collection, with one rule left out,', () => {
  const small = { ...twoBackups, fences: false }
  const exists = { handshake: 'exists', resumesPasses: false } as const
  it.each([
    ['one condemned mark that collectors share', among(small, { ...exists, mark: 'shared' })],
    [
      'a pass taken up by a second process, where backups do not read their base again',
      among(small, { handshake: 'exists' }),
    ],
    ['a fold, where backups do not read their base again', among({ ...backupAndFold, collectors: 1 }, exists)],
    ['commit records read again before the intents', among(small, { rereads: 'recordsThenIntents' })],
    ['intents read again, commit records not', among(small, { rereads: 'intents' })],
    ['nothing read again', among(small, { rereads: 'nothing' })],
    ['no intents', among(small, { writesIntents: false })],
    ['a backup that drops its intent before its commit', among(small, { dropsIntent: 'beforeCommit' })],
    ['a stale fold that nobody fences', among({ backups: 0, restore: false }, { foldFence: 'none' })],
    ['a restore without an intent', among({ ...foldAndRestore, fold: false }, { restoreIntent: 'none' })],
    [
      'a restore that reads the record before it writes its intent',
      among({ ...foldAndRestore, fold: false }, { restoreIntent: 'afterRecord' }),
    ],
  ])('loses data: %s', (name, protocol) => {
    const { states, badStates, counterexample } = explore(collectionModel(protocol))
    console.log(`${name}: ${badStates} bad states of ${states}\n  ${counterexample?.steps.join(', ')}`)
    expect(badStates).toBeGreaterThan(0)
    expect(counterexample?.violation).toMatch(/gone|misses/)
  })
})
