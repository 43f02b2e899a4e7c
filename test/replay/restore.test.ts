import { describe, expect, it } from 'vitest'
import type { RestoreDiskInput } from '../../functions/contracts.ts'
import { handlerOf } from '../../functions/durable.ts'
import { restoreDiskStory } from '../../functions/orchestrators/restore-disk.ts'
import { restoreVmStory } from '../../functions/orchestrators/restore-vm.ts'
import { runStory, type World } from '../support/run-story.ts'
import { ended, failedOutcome, pending, ref, restoreJob, throwing, world } from './story-worlds.ts'

const vm = { job: restoreJob, token: 'token-1' }
const instanceId = `${restoreJob.jobId}.1`
const runVm = (around: World) => runStory(handlerOf(restoreVmStory), vm, instanceId, around)
const disk: RestoreDiskInput = { ...ref, jobId: restoreJob.jobId, disk: 'os', progress: null }
const runDisk = (around: World, input = disk) =>
  runStory(handlerOf(restoreDiskStory), input, `${instanceId}:disk-os`, around)

const more = (_input: { fromOffsetBytes: number }, run: number) => ({
  kind: 'more',
  nextOffsetBytes: run * 1000,
  writtenBytes: 10,
})

describe('the story of a restore', () => {
  it('restores each disk by a child, then records the outcome', async () => {
    const { calls, state } = await runVm(world())
    expect(calls).toEqual(['planRestore', 'child restoreDisk', 'child restoreDisk', 'finishJob'])
    expect(state.output).toMatchObject({ kind: 'completed', recoveryPointId: restoreJob.recoveryPointId })
  })

  it('records a plan that fails', async () => {
    const { calls, state } = await runVm(world({ planRestore: failedOutcome }))
    expect(calls).toEqual(['planRestore', 'finishJob'])
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'some-reason', disks: [] })
  })

  it('fails with the reason of the disk that failed', async () => {
    const { state } = await runVm(
      world({}, { child: () => ({ outcome: ended('os', 'failed', 'vault-digest-mismatch: …'), seconds: 5 }) }),
    )
    expect(state.output).toMatchObject({ kind: 'failed', reason: 'vault-digest-mismatch: …' })
  })

  it('is cancelled by the event, and waits for its disks', async () => {
    const child: World['child'] = () => ({ outcome: ended('os', 'stopped', 'cancelled'), seconds: 60 })
    const { calls, state } = await runVm(world({}, { child, events: [{ name: 'cancel', atSeconds: 10 }] }))
    expect(calls).toEqual(['planRestore', 'child restoreDisk', 'child restoreDisk', 'stopTransfers', 'finishJob'])
    expect(state.output).toMatchObject({ kind: 'cancelled' })
  })
})

describe('the story of a disk that is restored', () => {
  it('opens, writes range after range, and finishes', async () => {
    const ranges = (input: { fromOffsetBytes: number }) =>
      input.fromOffsetBytes < 3000
        ? { kind: 'more', nextOffsetBytes: input.fromOffsetBytes + 1000, writtenBytes: 100 }
        : { kind: 'written', nextOffsetBytes: 4000, writtenBytes: 100 }
    const { calls, inputs, state } = await runDisk(world({ restoreRange: ranges }))
    expect(calls).toEqual(['openRestoreDisk', ...Array(4).fill('restoreRange'), 'finishRestoreDisk'])
    expect(inputs.slice(1, 5)).toMatchObject([0, 1000, 2000, 3000].map((fromOffsetBytes) => ({ fromOffsetBytes })))
    expect(state.output).toMatchObject({
      kind: 'transferred',
      report: { kind: 'restored', sizeBytes: 1 << 30, storedPlainBytes: 400 },
    })
  })

  it('continues as new after 50 ranges and goes on at its offset without opening again', async () => {
    const first = await runDisk(world({ restoreRange: more }))
    expect(first.continuedWith).toMatchObject({
      disk: 'os',
      progress: { nextOffsetBytes: 50_000, moved: { storedBytes: 500 } },
    })
    const second = await runDisk(world(), first.continuedWith as RestoreDiskInput)
    expect(second.calls).toEqual(['restoreRange', 'finishRestoreDisk'])
    expect(second.inputs[0]).toMatchObject({ fromOffsetBytes: 50_000 })
  })

  it.each([
    ['openRestoreDisk', failedOutcome, 'failed'],
    ['openRestoreDisk', { kind: 'stopped', reason: 'cancelled' }, 'stopped'],
    ['restoreRange', failedOutcome, 'failed'],
    ['restoreRange', { kind: 'stopped', reason: 'cancelled' }, 'stopped'],
    ['finishRestoreDisk', failedOutcome, 'failed'],
  ])('gives the disk up where %s answers %o', async (activity, answer, kind) => {
    const { calls, state } = await runDisk(world({ [activity]: answer }))
    expect(calls.at(-1)).toBe('abandonRestoreDisk')
    expect(state.output).toMatchObject({ kind, report: { disk: 'os', kind } })
  })

  it('gives the disk up where writing throws to the end', async () => {
    const { calls, state } = await runDisk(
      world({ restoreRange: throwing('no answer'), openRestoreDisk: [pending, { kind: 'open', sizeBytes: 5 }] }),
    )
    expect(calls.at(-1)).toBe('abandonRestoreDisk')
    expect(state.output).toMatchObject({ kind: 'failed' })
  })
})
