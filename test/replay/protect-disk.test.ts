import { describe, expect, it } from 'vitest'
import type { LaneInput } from '../../functions/contracts.ts'
import { handlerOf } from '../../functions/durable.ts'
import { protectDiskStory } from '../../functions/orchestrators/protect-disk.ts'
import { slicesPerGeneration, transferLaneStory } from '../../functions/orchestrators/transfer-lane.ts'
import { nothingMoved } from '../../shared/domain/progress.ts'
import { runStory, type World } from '../support/run-story.ts'
import { failedOutcome, instanceId, pending, ref, throwing, unchangedPlan, wellAnswers, world } from './story-worlds.ts'

const diskRef = { ...ref, disk: 'lun-0' }
const diskId = `${instanceId}:disk-lun-0`
const runDisk = (around: World) => runStory(handlerOf(protectDiskStory), diskRef, diskId, around)

const planned = (slices: number, lanes: number) => ({ ...(wellAnswers.planDisk as object), slices, lanes })

const lane: LaneInput = { ...diskRef, lane: 1, lanes: 3, slices: 10, next: 1, moved: nothingMoved }
const runLane = (around: World, input = lane) =>
  runStory(handlerOf(transferLaneStory), input, `${diskId}:lane-1`, around)

describe('the story of a disk', () => {
  it('moves a few slices itself, one after another, then seals', async () => {
    const { calls, inputs, state } = await runDisk(world())
    expect(calls).toEqual(['planDisk', 'transferSlice', 'transferSlice', 'transferSlice', 'sealDisk'])
    expect(inputs.slice(1, 4)).toEqual([0, 1, 2].map((slice) => ({ ...diskRef, slice })))
    expect(state.output).toMatchObject({ kind: 'transferred', report: { milliseconds: 5000 } })
  })

  it('shows what it has moved', async () => {
    const { state } = await runDisk(world())
    expect(state.customStatus).toMatchObject({
      phase: 'ended',
      slicesDone: 3,
      doneBytes: 12288,
      totalBytes: 12288,
      readBytes: 24576,
    })
  })

  it('seals a disk on which nothing changed without moving a slice', async () => {
    const { calls, state } = await runDisk(world({ planDisk: planned(0, 1) }))
    expect(calls).toEqual(['planDisk', 'sealDisk'])
    expect(state.output).toMatchObject({ kind: 'transferred' })
  })

  it('has nothing to do with a disk of which planning tells that nothing changed', async () => {
    const { calls, state } = await runDisk(world({ planDisk: unchangedPlan }))
    expect(calls).toEqual(['planDisk'])
    expect(state.output).toMatchObject({
      kind: 'transferred',
      report: { ...unchangedPlan.unchanged, milliseconds: 1000 },
    })
    expect(state.customStatus).toMatchObject({ phase: 'ended', totalBytes: 0 })
  })

  it('gives many slices to lanes, which get every n-th', async () => {
    const child: World['child'] = () => ({
      outcome: { kind: 'transferred', moved: { ...nothingMoved, doneBytes: 5 } },
      seconds: 60,
    })
    const { calls, inputs, state } = await runDisk(world({ planDisk: planned(10, 3) }, { child }))
    expect(calls).toEqual(['planDisk', 'child transferLane', 'child transferLane', 'child transferLane', 'sealDisk'])
    expect(inputs.slice(1, 4)).toMatchObject([0, 1, 2].map((n) => ({ lane: n, next: n, lanes: 3, slices: 10 })))
    expect(state.customStatus).toMatchObject({ phase: 'ended', doneBytes: 15 })
  })

  it('gives more slices than one history bears to a lane even where there is but one', async () => {
    const child: World['child'] = () => ({ outcome: { kind: 'transferred', moved: nothingMoved }, seconds: 60 })
    const { calls } = await runDisk(world({ planDisk: planned(slicesPerGeneration + 1, 1) }, { child }))
    expect(calls).toEqual(['planDisk', 'child transferLane', 'sealDisk'])
  })

  it.each([
    ['planDisk', failedOutcome, 'failed'],
    ['planDisk', { kind: 'stopped', reason: 'cancelled' }, 'stopped'],
    ['transferSlice', failedOutcome, 'failed'],
    ['transferSlice', { kind: 'stopped', reason: 'missedWindow' }, 'stopped'],
    ['sealDisk', failedOutcome, 'failed'],
  ])('returns %s of %o as its outcome %s', async (activity, answer, kind) => {
    const { calls, state } = await runDisk(world({ [activity]: answer }))
    expect(calls.at(-1)).toBe(activity)
    expect(state.output).toMatchObject({ kind, report: { disk: 'lun-0', kind } })
  })

  it('lets a failed lane speak before a stopped one', async () => {
    const child: World['child'] = (_name, input) => {
      const n = (input as LaneInput).lane
      return {
        outcome:
          n === 0
            ? { kind: 'stopped', reason: 'cancelled' }
            : n === 2
              ? failedOutcome
              : { kind: 'transferred', moved: nothingMoved },
        seconds: n,
      }
    }
    const { calls, state } = await runDisk(world({ planDisk: planned(10, 3) }, { child }))
    expect(calls).not.toContain('sealDisk')
    expect(state.output).toMatchObject({
      kind: 'failed',
      report: { reason: 'some-reason: It did not work.', hint: 'Do that.' },
    })
  })

  it('never throws for an activity that does', async () => {
    const { state } = await runDisk(world({ transferSlice: throwing('reset by peer') }))
    expect(state).toMatchObject({
      error: null,
      output: { kind: 'failed', report: { reason: expect.stringContaining('reset by peer') } },
    })
  })

  it('waits when the source is throttled, then takes the same slice again', async () => {
    const { calls, inputs } = await runDisk(world({ transferSlice: [pending, wellAnswers.transferSlice] }))
    expect(calls.slice(0, 4)).toEqual(['planDisk', 'transferSlice', 'timer', 'transferSlice'])
    expect(inputs[3]).toEqual(inputs[1])
  })
})

describe('a lane', () => {
  it('takes every n-th slice from its own on', async () => {
    const { inputs, state } = await runLane(world())
    expect(inputs).toMatchObject([1, 4, 7].map((slice) => ({ slice })))
    expect(state.output).toMatchObject({ kind: 'transferred', moved: { slicesDone: 3 } })
  })

  it('gives its activities what names the slice and nothing else', async () => {
    const { inputs } = await runLane(world())
    expect(inputs[0]).toEqual({ ...diskRef, slice: 1 })
  })

  it('continues as new after 50 slices and carries its counts over', async () => {
    const first = await runLane(world(), { ...lane, slices: 400 })
    expect(first.calls).toHaveLength(slicesPerGeneration)
    expect(first.continuedWith).toMatchObject({
      ...lane,
      slices: 400,
      next: 1 + 3 * slicesPerGeneration,
      moved: { slicesDone: slicesPerGeneration },
    })
    const second = await runLane(world(), first.continuedWith as LaneInput)
    expect(second.inputs[0]).toMatchObject({ slice: 151 })
    const third = await runLane(world(), second.continuedWith as LaneInput)
    expect(third.state.output).toMatchObject({ kind: 'transferred', moved: { slicesDone: 133 } })
  })

  it('ends at the first slice that is stopped', async () => {
    const { calls, state } = await runLane(
      world({ transferSlice: [wellAnswers.transferSlice, { kind: 'stopped', reason: 'cancelled' }] }),
    )
    expect(calls).toHaveLength(2)
    expect(state.output).toEqual({ kind: 'stopped', reason: 'cancelled' })
  })
})
