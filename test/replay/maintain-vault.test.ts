import { describe, expect, it } from 'vitest'
import type { MaintenanceInput } from '../../functions/contracts.ts'
import { handlerOf } from '../../functions/durable.ts'
import { maintainVaultStory, stepsPerGeneration } from '../../functions/orchestrators/maintain-vault.ts'
import type { MaintenanceOutcome } from '../../shared/domain/maintenance.ts'
import { runStory, type World } from '../support/run-story.ts'
import { failedOutcome, maintenanceInput, throwing, world } from './story-worlds.ts'

const run = (around: World, input: MaintenanceInput = maintenanceInput) =>
  runStory(handlerOf(maintainVaultStory), input, 'maintenance', around)

const passId = maintenanceInput.passId

describe('the story of a pass over the vault', () => {
  it('expires, compacts, collects and scrubs, and adds up what was done', async () => {
    const { calls, state } = await run(world())
    expect(calls).toEqual(['expireRecoveryPoints', 'compactLayers', 'collectGarbage', 'scrubVault'])
    expect(state.output).toEqual({
      kind: 'completed',
      counts: {
        expired: 2,
        folded: 3,
        rewrittenBytes: 4,
        removed: 5,
        retained: 6,
        checkedBytes: 7,
        damaged: 0,
        rebuilt: 0,
      },
      problems: [],
    })
    expect(state.customStatus).toMatchObject({ stage: 'ended', passId, kind: 'completed' })
  })

  it('repeats a stage from where it stopped until it is done', async () => {
    const more = { kind: 'more', cursor: 'vm-7', counts: { expired: 1 } }
    const { calls, inputs, state } = await run(
      world({ expireRecoveryPoints: [more, more, { kind: 'done', counts: { expired: 1 } }] }),
    )
    expect(calls.slice(0, 4)).toEqual([...Array(3).fill('expireRecoveryPoints'), 'compactLayers'])
    expect(inputs.slice(0, 4)).toEqual([null, 'vm-7', 'vm-7', null].map((cursor) => ({ passId, cursor })))
    expect(state.output).toMatchObject({ counts: { expired: 3 } })
  })

  it('tells a stage that fails, and does the others all the same', async () => {
    const { calls, state } = await run(world({ compactLayers: failedOutcome, collectGarbage: throwing('no answer') }))
    expect(calls).toContain('scrubVault')
    expect(state.output).toMatchObject({
      kind: 'incomplete',
      counts: { expired: 2, checkedBytes: 7 },
      problems: [
        { stage: 'compact', reason: 'some-reason', hint: 'Do that.' },
        { stage: 'collect', reason: 'activity-failed', message: expect.stringContaining('no answer') },
      ],
    })
  })

  it('shows its id and its first problems while it runs, and all that have room at its end', async () => {
    const problem = { reason: 'r', message: 'm'.repeat(400), hint: 'h'.repeat(300) }
    const problems = Array(20).fill(problem)
    const more = { kind: 'more', cursor: 'c', counts: {}, problems }
    const running = await run(world({ collectGarbage: more }))
    expect(running.state.customStatus).toMatchObject({ stage: 'collect', passId })
    expect((running.state.customStatus as { problems: unknown }).problems).toEqual(
      Array(3).fill({ stage: 'collect', ...problem }),
    )
    const { state } = await run(world({ collectGarbage: { kind: 'done', counts: {}, problems } }))
    expect(state.output).toMatchObject({ problems: { length: 20 } })
    expect(state.customStatus).toMatchObject({ stage: 'ended', passId, problems: { length: 7 } })
  })

  it('tells what a later stage mended apart from the problems that stay, of which nothing is left that is whole', async () => {
    const problem = { reason: 'r', message: 'Unread.', hint: 'h' }
    const mended = ['a', 'b'].map((name) => ({
      name,
      code: 'object-missing',
      vmKey: 'vm',
      recoveryPoints: 1,
      recoveryPointIds: ['r1'],
    }))
    const ending = async (problems: readonly object[]) => {
      const more = { kind: 'more', cursor: 'c', counts: {}, mended: mended.slice(0, 1) }
      const scrubVault = [more, { kind: 'done', counts: {}, mended: mended.slice(1) }]
      const { state } = await run(world({ collectGarbage: { kind: 'done', counts: {}, problems }, scrubVault }))
      expect(state.customStatus).toMatchObject({ stage: 'ended', mended })
      return state.output
    }
    const whole = await ending([
      { ...problem, objects: ['a', 'b'] },
      { ...problem, objects: ['b'] },
    ])
    expect(whole).toMatchObject({ kind: 'completed', problems: [], mended })
    const some = await ending([{ ...problem, objects: ['b', 'c'] }, problem])
    const rest = { stage: 'collect', ...problem, message: 'Unread. Mended since: b.', objects: ['c'] }
    expect(some).toMatchObject({ kind: 'incomplete', problems: [rest, { stage: 'collect', ...problem }], mended })
  })

  it('is not complete where problems had no room, though all that had are mended', async () => {
    const problem = { reason: 'r', message: 'Unread.', hint: 'h', objects: ['a'] }
    const left = { reason: 'known-damage', message: 'Some.', hint: 'h' }
    const mended = [{ name: 'a', code: 'short', vmKey: 'vm', recoveryPoints: 0, recoveryPointIds: [] }]
    const ending = async (count: number) => {
      const collectGarbage = { kind: 'done', counts: {}, problems: Array(count).fill(problem) }
      const scrubVault = { kind: 'done', counts: {}, mended, problems: [left] }
      const { output } = (await run(world({ collectGarbage, scrubVault }))).state
      return (output as MaintenanceOutcome).problems.map(({ stage, reason }) => [stage, reason])
    }
    expect(await ending(20)).toEqual([['scrub', 'known-damage']])
    expect(await ending(21)).toEqual([
      ['collect', 'more-problems'],
      ['scrub', 'known-damage'],
    ])
  })

  it('hands on that everything is to be checked again, also when it continues as new', async () => {
    const recheckBefore = '2026-03-10T02:00:00.000Z'
    const more = { kind: 'more', cursor: 'c', counts: {} }
    const { continuedWith } = await run(world({ scrubVault: more }), { ...maintenanceInput, recheckBefore })
    const { inputs } = await run(world(), continuedWith as MaintenanceInput)
    expect(inputs).toEqual([{ passId, cursor: 'c', recheckBefore }])
  })

  it('continues as new before its history grows long, and forgets nothing', async () => {
    const more = { kind: 'more', cursor: 'c', counts: { removed: 1 } }
    const { continuedWith } = await run(world({ collectGarbage: more }))
    expect(continuedWith).toMatchObject({
      passId,
      stage: 'collect',
      cursor: 'c',
      counts: { expired: 2, removed: stepsPerGeneration - 2 },
    })
    const { calls } = await run(world(), continuedWith as MaintenanceInput)
    expect(calls).toEqual(['collectGarbage', 'scrubVault'])
  })
})
