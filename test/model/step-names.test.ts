import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { backupOrder, restoreOrder } from './backup-steps.ts'
import { passOrder } from './collector-looks.ts'
import { runOrder } from './compaction-steps.ts'

/** The steps of the model are calls of the code, in its order. A call that is added, left out or moved there has to be looked at here. */

/** Names of the calls of a function that are handed a store, in the order in which they are written. */
const callsOf = (file: string, name: string): readonly string[] => {
  const source = readFileSync(new URL(`../../shared/${file}`, import.meta.url), 'utf8')
  const begin = source.search(new RegExp(`const ${name} = `))
  expect(begin, `${name} in ${file}`).toBeGreaterThan(-1)
  const body = source.slice(source.indexOf('=>', begin), source.indexOf('\n}', begin))
  const calls = body.matchAll(/(?:(\w+)\(\s*(?:\{ \.\.\.)?(?:deps|vault|control)\b)|(?:\b(?:vault|control)\.(\w+)\()/g)
  return [...calls].map(([, handed, own]) => handed ?? own ?? '')
}

/** Puts the calls of a function in the place of its own call. */
const within = (calls: readonly string[], name: string, inner: readonly string[]): readonly string[] =>
  calls.flatMap((call) => (call === name ? inner : [call]))

const without = (calls: readonly string[], leftOut: readonly string[]): readonly string[] =>
  calls.filter((call) => !leftOut.includes(call))

/** Of `fence: dropIntent` and `isCollecting again`, dropIntent and isCollecting. */
const codeName = (step: string): string => step.split(': ').at(-1)?.split(' ')[0] ?? ''

describe('the steps of the model', () => {
  it('of a collection are the calls of collectGarbage', () => {
    const file = 'vault/collect-garbage.ts'
    const calls = within(callsOf(file, 'collectGarbage'), 'condemn', callsOf(file, 'condemn'))
    // What is remembered was read before, and a lost record stops removals: a pass that knows of neither keeps less.
    expect(without(calls, ['listIndexes', 'recallMarks', 'noteLost'])).toEqual(passOrder)
  })

  it('of a compaction are the calls of runCompaction', () => {
    const file = 'vault/run-compaction.ts'
    const slice = within(
      callsOf('vault/regather-layer.ts', 'regatherLayer'),
      'writeRegatheredSlice',
      callsOf('vault/regather-slice.ts', 'writeRegatheredSlice'),
    )
    const made = within(callsOf(file, 'make'), 'regatherFor', slice)
    const intents = 'vault/compaction-intents.ts'
    const fence = within(callsOf(intents, 'fenceCompaction'), 'takeRevision', callsOf(intents, 'takeRevision'))
    const asked = callsOf(file, 'runCompaction').flatMap((call) =>
      call === 'isCollecting' ? [] : call === 'writeIntent' ? ['isCollecting', call, 'isCollecting'] : [call],
    )
    const calls = within(within(asked, 'make', made), 'repoint', callsOf(file, 'repoint'))
    // Another way, proofs of layers, what is read of layers and keys, and the lists of what is removed next; segments of a rewrite are written as a regathering's.
    const leftOut = [
      'postpone',
      'proveFold',
      'rewriteFor',
      'openLayers',
      'shownBy',
      'gatherRuns',
      'readSliceRuns',
      'currentKey',
      'readRange',
      'marked',
    ]
    const ofRun = without(runOrder, ['readLivePoints', 'postpone: readIntent', 'ended']).map(codeName)
    expect(without(within(calls, 'fenceCompaction', fence), leftOut)).toEqual(ofRun)
    expect(callsOf(file, 'postpone')).toEqual(['readIntent', 'fenceCompaction'])
    expect(callsOf('vault/compact-vm.ts', 'settledStep')[0]).toBe('readLivePoints')
  })

  it('of a compaction that waits are asked before its intents and again behind them', () => {
    const source = readFileSync(new URL('../../shared/vault/run-compaction.ts', import.meta.url), 'utf8')
    const run = source.slice(source.indexOf('const runCompaction'), source.indexOf('const postpone'))
    const order = [...run.matchAll(/await (mustWait|writeIntent|undecided)\(/g)].map(([, call]) => call)
    expect(order).toEqual(['mustWait', 'writeIntent', 'mustWait', 'undecided'])
  })

  it('of a backup and of a restore are the calls that plan them', () => {
    const checked = callsOf('vault/check-base.ts', 'checkBase')
    const planned = within(callsOf('jobs/plan-vm-backup.ts', 'draftOf'), 'checkBase', checked)
    const steps: readonly string[] = backupOrder.slice(0, 4)
    expect(planned.filter((call) => steps.includes(call))).toEqual(steps)
    const restored = callsOf('jobs/plan-vm-restore.ts', 'planVmRestore').filter((call) => call !== 'isCurrent')
    const plan = ['readRestorePlan', 'tellingDamage', 'createOrRead']
    expect(without(restored, plan)).toEqual(restoreOrder.slice(0, 2))
  })

  it.each([
    ['vault/transfer-slice.ts', 'transferSlice'],
    ['vault/seal-disk.ts', 'sealDisk'],
    ['vault/commit-recovery-point.ts', 'commitRecoveryPoint'],
    ['vault/restore-range.ts', 'restoreRange'],
    ['vault/intents.ts', 'dropIntent'],
    ['vault/expire-recovery-points.ts', 'expireRecoveryPoint'],
    ['vault/fence-recovery-point.ts', 'fenceRecoveryPoint'],
  ])('that follow on a plan are functions of the code: %s', (file, name) => {
    const source = readFileSync(new URL(`../../shared/${file}`, import.meta.url), 'utf8')
    expect(source).toContain(`export const ${name} = `)
  })
})
