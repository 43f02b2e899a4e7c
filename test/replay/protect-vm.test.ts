import { describe, expect, it } from 'vitest'
import { handlerOf } from '../../functions/durable.ts'
import { protectVmStory } from '../../functions/orchestrators/protect-vm.ts'
import { runStory, type World } from '../support/run-story.ts'
import {
  attemptInput,
  ended,
  failedOutcome,
  instanceId,
  job,
  labels,
  pending,
  planWith,
  throwing,
  transferred,
  vmInput,
  wellAnswers,
  world,
} from './story-worlds.ts'

const run = (around: World, input: unknown = vmInput) => runStory(handlerOf(protectVmStory), input, instanceId, around)

const ending = ['closeSources', 'finishJob']

describe('the story of a VM', () => {
  it('commits after all disks, closes the sources, then releases what is no base any more', async () => {
    const { calls, state } = await run(world())
    expect(calls).toEqual([
      'planBackup',
      'takeRestorePoint',
      'child protectDisk',
      'child protectDisk',
      'child protectDisk',
      'timer',
      'commitRecoveryPoint',
      'closeSources',
      'releaseRestorePoints',
      'finishJob',
    ])
    expect(state.output).toMatchObject({
      kind: 'completed',
      summary: { consistency: 'crash', consistentAcrossDisks: true },
    })
    expect(state.output).toHaveProperty('summary.disks.length', labels.length)
  })

  it('waits for the restore point with durable timers', async () => {
    const { calls } = await run(world({ takeRestorePoint: [pending, pending, wellTaken] }))
    expect(calls.slice(0, 6)).toEqual([
      'planBackup',
      'takeRestorePoint',
      'timer',
      'takeRestorePoint',
      'timer',
      'takeRestorePoint',
    ])
  })

  it('takes a snapshot of each disk where the policy says so, and tells that they are not consistent', async () => {
    const { calls, state } = await run(world(), { ...vmInput, job: { ...job, source: 'diskSnapshots' } })
    expect(calls).toContain('takeDiskSnapshots')
    expect(calls).not.toContain('takeRestorePoint')
    expect(state.output).toHaveProperty('summary.consistentAcrossDisks', false)
  })

  it.each([
    ['planBackup', ['planBackup', ...ending]],
    ['takeRestorePoint', ['planBackup', 'takeRestorePoint', ...ending]],
  ])('ends as failed where %s fails, and records it', async (activity, expected) => {
    const { calls, state } = await run(world({ [activity]: failedOutcome }))
    expect(calls).toEqual(expected)
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'some-reason', hint: 'Do that.' })
  })

  it('commits nothing and releases nothing where a disk failed', async () => {
    const child: World['child'] = (_name, input) => {
      const { disk } = input as { disk: string }
      return { outcome: disk === 'lun-0' ? ended(disk, 'failed', 'source-gone: …') : transferred(disk), seconds: 9 }
    }
    const { calls, state } = await run(world({}, { child }))
    expect(calls).not.toContain('commitRecoveryPoint')
    expect(calls).not.toContain('releaseRestorePoints')
    expect(calls.slice(-2)).toEqual(ending)
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'source-gone: …', hint: 'Do this.' })
    expect(state.output).toHaveProperty('disks.length', labels.length)
  })

  it('keeps a failed commit from releasing anything', async () => {
    const { calls, state } = await run(world({ commitRecoveryPoint: failedOutcome }))
    expect(calls.slice(-3)).toEqual(['commitRecoveryPoint', ...ending])
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'some-reason' })
  })

  it('asks the disks to stop when somebody cancels, waits for all, and ends as cancelled', async () => {
    const child: World['child'] = (_name, input) => ({
      outcome: ended((input as { disk: string }).disk, 'stopped', 'cancelled'),
      seconds: 60,
    })
    const { calls, state, inputs } = await run(world({}, { child, events: [{ name: 'cancel', atSeconds: 30 }] }))
    expect(calls.filter((call) => call === 'child protectDisk')).toHaveLength(labels.length)
    expect(inputs[calls.indexOf('stopTransfers')]).toMatchObject({ reason: 'cancelled' })
    expect(calls).not.toContain('commitRecoveryPoint')
    expect(calls.slice(-3)).toEqual(['stopTransfers', ...ending])
    expect(state.output).toMatchObject({ kind: 'cancelled' })
  })

  it('hears a cancel that came before the transfer began', async () => {
    const child: World['child'] = (_name, input) => ({
      outcome: ended((input as { disk: string }).disk, 'stopped', 'cancelled'),
      seconds: 5,
    })
    const { state } = await run(world({}, { child, events: [{ name: 'cancel', atSeconds: 0.5 }] }))
    expect(state.output).toMatchObject({ kind: 'cancelled' })
  })

  it('ends as cancelled where the stop was seen before the restore point existed', async () => {
    const { calls, state } = await run(world({ takeRestorePoint: [pending, { kind: 'stopped', reason: 'cancelled' }] }))
    expect(calls.slice(-2)).toEqual(ending)
    expect(state.output).toMatchObject({ kind: 'cancelled', disks: labels.map((disk) => ({ disk, kind: 'stopped' })) })
  })

  it('stops the disks when the window ends, and says so', async () => {
    const child: World['child'] = (_name, input) => ({
      outcome: ended((input as { disk: string }).disk, 'stopped', 'missedWindow'),
      seconds: 25 * 3600,
    })
    const { calls, state, inputs } = await run(world({}, { child }))
    expect(inputs[calls.indexOf('stopTransfers')]).toMatchObject({ reason: 'missedWindow' })
    expect(state.output).toMatchObject({ kind: 'missedWindow' })
  })

  it('commits where all disks were done before they saw the stop', async () => {
    const { calls, state } = await run(world({}, { events: [{ name: 'cancel', atSeconds: 30 }] }))
    expect(calls).toContain('stopTransfers')
    expect(state.output).toMatchObject({ kind: 'completed' })
  })

  it('names a failed disk rather than the stop', async () => {
    const child: World['child'] = (_name, input) => {
      const { disk } = input as { disk: string }
      return {
        outcome: disk === 'os' ? ended(disk, 'failed', 'vault-short: …') : ended(disk, 'stopped', 'cancelled'),
        seconds: 60,
      }
    }
    const { state } = await run(world({}, { child, events: [{ name: 'cancel', atSeconds: 30 }] }))
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'vault-short: …' })
  })

  it('fails, so that the supervisor starts the next attempt, where the platform ended a child', async () => {
    const child: World['child'] = (_name, input) =>
      (input as { disk: string }).disk === 'os'
        ? { throws: 'worker died', seconds: 5 }
        : { outcome: transferred('x'), seconds: 60 }
    const { calls, state } = await run(world({}, { child }))
    expect(state.error).toContain('worker died')
    expect(calls).not.toContain('finishJob')
    expect(JSON.stringify(state.actions)).toContain('"isCanceled":true')
  })

  it('turns an activity that throws to the end into a failed job with a short reason', async () => {
    const { calls, state, history } = await run(
      world({ takeRestorePoint: throwing(`no answer \n {"ClassName":"${'x'.repeat(3000)}"}`) }),
    )
    expect(calls.filter((call) => call === 'takeRestorePoint')).toHaveLength(10)
    // Shorter outages must not end a transfer of many hours.
    expect(Date.parse(history.at(-1)!.Timestamp) - Date.parse(history[0]!.Timestamp)).toBeGreaterThan(20 * 60_000)
    expect(state.output).toMatchObject({
      kind: 'failed',
      reason: 'activity-failed',
      message: expect.stringMatching(/no answer$/),
    })
  })

  it('takes an activity without an outcome for a failure', async () => {
    const { state } = await run(world({ takeRestorePoint: () => null }))
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'activity-without-outcome' })
  })

  it('goes on where an activity succeeds after two tries', async () => {
    const flaky = (_input: unknown, run: number) => {
      if (run < 3) throw new Error('reset by peer')
      return wellTaken
    }
    const { state } = await run(world({ takeRestorePoint: flaky }))
    expect(state.output).toMatchObject({ kind: 'completed' })
  })

  it('is completed even where the sources could not be closed or released: both are tried again by the next run', async () => {
    const { calls, state } = await run(world({ closeSources: failedOutcome, releaseRestorePoints: failedOutcome }))
    expect(calls.at(-1)).toBe('finishJob')
    expect(state.output).toMatchObject({ kind: 'completed' })
  })

  it('gives up after 200 asks, which take more than seven hours', async () => {
    const { calls, state, history } = await run(world({ takeRestorePoint: pending }))
    expect(Date.parse(history.at(-1)!.Timestamp) - Date.parse(history[0]!.Timestamp)).toBeGreaterThan(7 * 3_600_000)
    expect(calls.filter((call) => call === 'takeRestorePoint')).toHaveLength(200)
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'not-ready-in-time' })
  })
})

describe('the story of a VM that names its attempt', () => {
  const begun = (answers: Readonly<Record<string, unknown>>) => run(world(answers), attemptInput)
  const children = labels.map(() => 'child protectDisk')

  it('begins and ends in one step each where the platform is done at once', async () => {
    const { calls, inputs, state } = await begun({ planBackup: planWith(wellTaken) })
    expect(calls).toEqual(['planBackup', ...children, 'timer', 'concludeBackup'])
    expect(inputs[0]).toEqual(attemptInput)
    expect(inputs.at(-1)).toMatchObject({ token: attemptInput.token, outcome: state.output })
    expect(state.output).toMatchObject({ kind: 'completed', summary: { consistency: 'crash' } })
  })

  it('waits before it asks for the restore point again', async () => {
    const { calls } = await begun({ planBackup: planWith(pending), takeRestorePoint: [pending, wellTaken] })
    expect(calls.slice(0, 5)).toEqual(['planBackup', 'timer', 'takeRestorePoint', 'timer', 'takeRestorePoint'])
  })

  it('ends as the first ask for the restore point did', async () => {
    expect((await begun({ planBackup: planWith(failedOutcome) })).state.output).toMatchObject({ reason: 'some-reason' })
    const stopped = await begun({ planBackup: planWith({ kind: 'stopped', reason: 'cancelled' }) })
    expect(stopped.calls).toEqual(['planBackup', ...ending])
    expect(stopped.state.output).toMatchObject({ kind: 'cancelled' })
  })

  it('ends step by step where the platform is not done with what comes after the commit', async () => {
    const { calls, state } = await begun({
      planBackup: planWith(wellTaken),
      concludeBackup: wellAnswers.commitRecoveryPoint,
      releaseRestorePoints: [pending, wellAnswers.releaseRestorePoints],
    })
    const released = ['closeSources', 'releaseRestorePoints', 'timer', 'releaseRestorePoints', 'finishJob']
    expect(calls.slice(-6)).toEqual(['concludeBackup', ...released])
    expect(state.output).toMatchObject({ kind: 'completed' })
  })

  it('releases nothing where the commit failed', async () => {
    const { calls, state } = await begun({ planBackup: planWith(wellTaken), concludeBackup: failedOutcome })
    expect(calls.slice(-3)).toEqual(['concludeBackup', ...ending])
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'some-reason' })
  })
})

const wellTaken = {
  kind: 'ready',
  consistency: 'crash',
  consistentAcrossDisks: true,
  takenAt: '2026-01-01T02:00:10.000Z',
}
