import { describe, expect, it } from 'vitest'
import type { MaintenanceInput } from '../../functions/contracts.ts'
import { handlerOf } from '../../functions/durable.ts'
import { maintainVaultStory, stepsPerGeneration } from '../../functions/orchestrators/maintain-vault.ts'
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
      counts: { expired: 2, folded: 3, rewrittenBytes: 4, removed: 5, retained: 6, checkedBytes: 7, damaged: 0 },
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
