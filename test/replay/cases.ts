import type { OrchestrationHandler } from 'durable-functions'
import type { CompareVmInput, LaneInput, RestoreDiskInput } from '../../functions/contracts.ts'
import { handlerOf } from '../../functions/durable.ts'
import { compareVmStory } from '../../functions/orchestrators/compare-vm.ts'
import { maintainVaultStory } from '../../functions/orchestrators/maintain-vault.ts'
import { protectDiskStory } from '../../functions/orchestrators/protect-disk.ts'
import { protectVmStory } from '../../functions/orchestrators/protect-vm.ts'
import { restoreDiskStory } from '../../functions/orchestrators/restore-disk.ts'
import { restoreVmStory } from '../../functions/orchestrators/restore-vm.ts'
import { transferLaneStory } from '../../functions/orchestrators/transfer-lane.ts'
import { nothingMoved } from '../../shared/domain/progress.ts'
import type { World } from '../support/run-story.ts'
import {
  attemptInput,
  compareJob,
  ended,
  failedOutcome,
  instanceId,
  job,
  maintenanceInput,
  pending,
  planWith,
  ref,
  restoreJob,
  throwing,
  transferred,
  unchangedPlan,
  vmInput,
  wellAnswers,
  world,
} from './story-worlds.ts'

/** A story in a world that makes it take one of its turns. */
export interface Case {
  readonly name: string
  readonly handler: OrchestrationHandler
  readonly input: unknown
  readonly instanceId: string
  readonly world: World
}

const vm = (name: string, around: World, input: unknown = vmInput): Case => ({
  name: `protect-vm-${name}`,
  handler: handlerOf(protectVmStory),
  input,
  instanceId,
  world: around,
})
const disk = (name: string, around: World, attempt?: number): Case => ({
  name: `protect-disk-${name}`,
  handler: handlerOf(protectDiskStory),
  input: { ...ref, disk: 'lun-63', ...(attempt === undefined ? {} : { attempt }) },
  instanceId: `${instanceId}:disk-lun-63`,
  world: around,
})
const lane = (name: string, around: World, slices: number): Case => ({
  name: `transfer-lane-${name}`,
  handler: handlerOf(transferLaneStory),
  input: { ...ref, disk: 'lun-63', lane: 15, lanes: 16, slices, next: 15, moved: nothingMoved } satisfies LaneInput,
  instanceId: `${instanceId}:disk-lun-63:lane-15`,
  world: around,
})
const restoreId = `${restoreJob.jobId}.1`
const restore = (name: string, around: World): Case => ({
  name: `restore-vm-${name}`,
  handler: handlerOf(restoreVmStory),
  input: { job: restoreJob, token: 'token-1' },
  instanceId: restoreId,
  world: around,
})
const restoreOne = (name: string, around: World): Case => ({
  name: `restore-disk-${name}`,
  handler: handlerOf(restoreDiskStory),
  input: { ...ref, jobId: restoreJob.jobId, disk: 'lun-63', progress: null } satisfies RestoreDiskInput,
  instanceId: `${restoreId}:disk-lun-63`,
  world: around,
})

const comparison = (name: string, around: World): Case => ({
  name: `compare-vm-${name}`,
  handler: handlerOf(compareVmStory),
  input: { job: compareJob, token: 'token-1' } satisfies CompareVmInput,
  instanceId: `${compareJob.jobId}.1`,
  world: around,
})
const maintenance = (name: string, around: World): Case => ({
  name: `maintain-vault-${name}`,
  handler: handlerOf(maintainVaultStory),
  input: maintenanceInput,
  instanceId: 'maintenance',
  world: around,
})

const mendingWorld = world({
  collectGarbage: {
    kind: 'done',
    counts: {},
    problems: [{ reason: 'unreadable-objects', message: 'Unread.', hint: 'h', objects: ['layers/r1/os'] }],
  },
  scrubVault: {
    kind: 'done',
    counts: { rebuilt: 1 },
    mended: [{ name: 'layers/r1/os', code: 'short', vmKey: job.vmKey, recoveryPoints: 1, recoveryPointIds: ['r1'] }],
  },
})

const labelOf = (input: unknown): string => (input as { disk: string }).disk
const stoppedChild =
  (reason: string, seconds: number): NonNullable<World['child']> =>
  (_name, input) => ({ outcome: ended(labelOf(input), 'stopped', reason), seconds })
const failingChild: NonNullable<World['child']> = (_name, input) =>
  labelOf(input) === 'os'
    ? { outcome: ended('os', 'failed', 'source-gone'), seconds: 5 }
    : { outcome: transferred(labelOf(input)), seconds: 60 }
const flaky = (answer: unknown) => (_input: unknown, run: number) => {
  if (run < 3) throw new Error('reset by peer')
  return answer
}
const laneChild: NonNullable<World['child']> = (_name, input) => ({
  outcome: { kind: 'transferred', moved: nothingMoved },
  seconds: 60 - (input as LaneInput).lane,
})

/** Every turn of every story: what replay tests and the rules are held against. */
export const cases: readonly Case[] = [
  vm('all-well', world()),
  vm(
    'waits-for-restore-point',
    world({
      takeRestorePoint: [pending, pending, wellAnswers.takeRestorePoint],
      closeSources: [pending, wellAnswers.closeSources],
    }),
  ),
  vm('disk-snapshots', world(), { ...vmInput, job: { ...job, source: 'diskSnapshots' } }),
  vm(
    'retries',
    world(
      {
        takeRestorePoint: flaky(wellAnswers.takeRestorePoint),
        planBackup: flaky(wellAnswers.planBackup),
        closeSources: throwing('no answer'),
      },
      { child: stoppedChild('cancelled', 5) },
    ),
  ),
  vm('plan-fails', world({ planBackup: failedOutcome })),
  vm('restore-point-fails', world({ takeRestorePoint: failedOutcome })),
  vm('disk-fails', world({}, { child: failingChild })),
  vm('cancelled', world({}, { child: stoppedChild('cancelled', 60), events: [{ name: 'cancel', atSeconds: 30 }] })),
  vm(
    'cancelled-twice',
    world(
      {},
      {
        child: stoppedChild('cancelled', 60),
        events: [
          { name: 'cancel', atSeconds: 30 },
          { name: 'cancel', atSeconds: 31 },
        ],
      },
    ),
  ),
  vm(
    'cancelled-early',
    world({}, { child: stoppedChild('cancelled', 5), events: [{ name: 'cancel', atSeconds: 0.5 }] }),
  ),
  vm('cancelled-late', world({}, { events: [{ name: 'cancel', atSeconds: 30 }] })),
  vm(
    'stop-is-flaky',
    world(
      { stopTransfers: throwing('no answer') },
      { child: stoppedChild('cancelled', 600), events: [{ name: 'cancel', atSeconds: 30 }] },
    ),
  ),
  vm('missed-window', world({}, { child: stoppedChild('missedWindow', 25 * 3600) })),
  vm('commit-fails', world({ commitRecoveryPoint: failedOutcome })),
  vm(
    'child-lost',
    world(
      {},
      {
        child: (_name, input) =>
          labelOf(input) === 'os'
            ? { throws: 'worker died', seconds: 5 }
            : { outcome: transferred('lun-0'), seconds: 60 },
      },
    ),
  ),
  disk('all-well', world()),
  disk('unchanged', world({ planDisk: unchangedPlan }), 1),
  disk('retries', world({ transferSlice: flaky(wellAnswers.transferSlice) })),
  disk('throttled', world({ transferSlice: [pending, wellAnswers.transferSlice, pending, wellAnswers.transferSlice] })),
  disk('slice-fails', world({ transferSlice: failedOutcome })),
  disk(
    'lanes',
    world({ planDisk: { ...(wellAnswers.planDisk as object), slices: 100, lanes: 16 } }, { child: laneChild }),
  ),
  vm('one-step-ending', world({ planBackup: planWith(wellAnswers.takeRestorePoint) }), attemptInput),
  vm(
    'waits-for-the-platform',
    world({
      planBackup: planWith(pending),
      takeRestorePoint: [pending, wellAnswers.takeRestorePoint],
      concludeBackup: wellAnswers.commitRecoveryPoint,
      closeSources: [pending, wellAnswers.closeSources],
    }),
    attemptInput,
  ),
  vm('first-ask-fails', world({ planBackup: planWith(failedOutcome) }), attemptInput),
  vm(
    'conclude-fails',
    world({ planBackup: planWith(wellAnswers.takeRestorePoint), concludeBackup: failedOutcome }),
    attemptInput,
  ),
  lane('all-well', world(), 100),
  lane('continues', world(), 2000),
  lane('stopped', world({ transferSlice: [wellAnswers.transferSlice, { kind: 'stopped', reason: 'cancelled' }] }), 100),
  restore('all-well', world()),
  restore(
    'cancelled',
    world({}, { child: stoppedChild('cancelled', 60), events: [{ name: 'cancel', atSeconds: 10 }] }),
  ),
  restore('disk-fails', world({}, { child: failingChild })),
  restoreOne(
    'all-well',
    world({
      openRestoreDisk: [pending, wellAnswers.openRestoreDisk],
      finishRestoreDisk: [pending, wellAnswers.finishRestoreDisk],
    }),
  ),
  restoreOne('given-up', world({ restoreRange: throwing('no answer') })),
  restoreOne(
    'continues',
    world({
      restoreRange: (_input: unknown, run: number) => ({
        kind: 'more',
        nextOffsetBytes: run * 4096,
        writtenBytes: 512,
      }),
    }),
  ),
  comparison(
    'all-well',
    world({ compareRange: [pending, wellAnswers.compareRange], closeSources: [pending, wellAnswers.closeSources] }),
  ),
  comparison('plan-fails', world({ planComparison: failedOutcome })),
  comparison('disk-fails', world({ compareRange: [failedOutcome, wellAnswers.compareRange] })),
  comparison('stopped', world({ compareRange: [wellAnswers.compareRange, { kind: 'stopped', reason: 'cancelled' }] })),
  comparison('continues', world({ compareRange: { ...(wellAnswers.compareRange as object), kind: 'more' } })),
  maintenance('all-well', world()),
  maintenance('stages-fail', world({ expireRecoveryPoints: failedOutcome, collectGarbage: throwing('no answer') })),
  maintenance('mends', mendingWorld),
  maintenance('continues-as-new', world({ compactLayers: { kind: 'more', cursor: 'c', counts: {} } })),
]
