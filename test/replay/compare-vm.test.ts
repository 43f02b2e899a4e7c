import { describe, expect, it } from 'vitest'
import type { CompareVmInput } from '../../functions/contracts.ts'
import { handlerOf } from '../../functions/durable.ts'
import { compareVmStory, stepsPerGeneration } from '../../functions/orchestrators/compare-vm.ts'
import { differingToldMax } from '../../shared/domain/disk-report.ts'
import { runStory, type World } from '../support/run-story.ts'
import { compareJob, failedOutcome, wellAnswers, world } from './story-worlds.ts'

const input: CompareVmInput = { job: compareJob, token: 'token-1' }
const run = (around: World, given = input) =>
  runStory(handlerOf(compareVmStory), given, `${compareJob.jobId}.1`, around)
const range = wellAnswers.compareRange as object
const { recoveryPointId } = compareJob

describe('the story of a comparison', () => {
  it('compares disk after disk, ends its accesses, then records the outcome', async () => {
    const { calls, state } = await run(world())
    expect(calls).toEqual(['planComparison', 'compareRange', 'compareRange', 'closeSources', 'finishJob'])
    const disks = [
      { disk: 'os', kind: 'compared', readBytes: 8192 },
      { disk: 'lun-0', kind: 'compared', readBytes: 8192 },
    ]
    expect(state.output).toMatchObject({ kind: 'completed', recoveryPointId, summary: { disks } })
  })

  it('names the disk that differs and where, and compares the others all the same', async () => {
    const differing = [{ offsetBytes: 4096, lengthBytes: 8192 }]
    const different = { ...range, differingBytes: 8192, differing }
    const { state } = await run(world({ compareRange: [{ ...different, kind: 'more' }, different, range] }))
    const reason = expect.stringMatching(/^differs-from-source: 16384 bytes .* 4096 \(8192\), 4096 \(8192\)\.$/)
    expect(state.output).toMatchObject({
      kind: 'failed',
      reason,
      message: expect.stringContaining('The disk os'),
      disks: [
        { disk: 'os', kind: 'failed', changedBytes: 16384, reason },
        { disk: 'lun-0', kind: 'compared' },
      ],
    })
  })

  it('tells the first ranges of a disk that differ, however many steps found some', async () => {
    const at = (page: number) => ({ offsetBytes: page * 8192, lengthBytes: 4096 })
    const step = (first: number, kind: 'more' | 'done') => ({
      ...range,
      kind,
      differingBytes: 4096 * differingToldMax,
      differing: Array.from({ length: differingToldMax }, (_, index) => at(first + index)),
    })
    const { state } = await run(world({ compareRange: [step(1, 'more'), step(100, 'done'), range] }))
    const shown = Array.from({ length: differingToldMax }, (_, index) => `${(1 + index) * 8192} (4096)`).join(', ')
    const reason = expect.stringMatching(
      new RegExp(`^differs-from-source: 40960 bytes .* ${shown}\\.$`.replaceAll(/[()]/g, '\\$&')),
    )
    expect(state.output).toMatchObject({ disks: [{ reason }, { kind: 'compared' }] })
  })

  it('compares the other disks where one cannot be read', async () => {
    const { state } = await run(world({ compareRange: [failedOutcome, range] }))
    expect(state.output).toMatchObject({
      kind: 'failed',
      reason: 'some-reason: It did not work.',
      hint: 'Do that.',
      disks: [{ kind: 'failed' }, { kind: 'compared' }],
    })
  })

  it('records a plan that fails', async () => {
    const { calls, state } = await run(world({ planComparison: failedOutcome }))
    expect(calls).toEqual(['planComparison', 'closeSources', 'finishJob'])
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'some-reason', disks: [] })
  })

  it.each(['cancelled', 'missedWindow'])('ends where a step says that it was stopped: %s', async (reason) => {
    const { calls, state } = await run(world({ compareRange: [range, { kind: 'stopped', reason }] }))
    expect(calls.slice(-2)).toEqual(['closeSources', 'finishJob'])
    expect(state.output).toMatchObject({
      kind: reason,
      disks: [
        { disk: 'os', kind: 'compared' },
        { disk: 'lun-0', kind: 'stopped', reason },
      ],
    })
  })

  it('continues as new with what it has found, and goes on there', async () => {
    const more = { ...range, kind: 'more', nextOffsetBytes: 4096 }
    const first = await run(world({ compareRange: [range, more] }))
    expect(first.calls).toHaveLength(1 + stepsPerGeneration)
    const continued = first.continuedWith as CompareVmInput
    expect(continued.progress).toMatchObject({
      reports: [{ disk: 'os', kind: 'compared' }],
      at: { nextOffsetBytes: 4096, comparedBytes: 8192 * (stepsPerGeneration - 1) },
    })
    const second = await run(world(), continued)
    expect(second.calls).toEqual(['compareRange', 'closeSources', 'finishJob'])
    expect(second.state.output).toMatchObject({
      kind: 'completed',
      summary: { disks: [{ disk: 'os' }, { disk: 'lun-0', readBytes: 8192 * stepsPerGeneration }] },
    })
  })
})
