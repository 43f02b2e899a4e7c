import type { DiskOutcome, MaintenanceInput } from '../../functions/contracts.ts'
import { diskReport } from '../../shared/domain/disk-report.ts'
import type { BackupJob, CompareJob, RestoreJob } from '../../shared/domain/job.ts'
import { nothingMaintained } from '../../shared/domain/maintenance.ts'
import type { World } from '../support/run-story.ts'

const vmKey = 'a-vm-with-a-long-name--0123456789ab'
const recoveryPointId = '20260101t020000z-0123456789'

export const job: BackupJob = {
  kind: 'backup',
  jobId: `backup-${vmKey}-${recoveryPointId}`,
  vmId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm',
  vmKey,
  recoveryPointId,
  policy: 'daily',
  trigger: 'schedule',
  consistency: 'crash',
  source: 'restorePoints',
  excludedDisks: [],
  requestedAt: '2026-01-01T02:00:00.000Z',
  deadline: '2026-01-02T02:00:00.000Z',
}

export const ref = { jobId: job.jobId, vmKey, recoveryPointId, token: 'token-1' }
/** As instances of before version 0.2 were started. */
export const vmInput = { job, token: 'token-1' }
export const attemptInput = { ...vmInput, attempt: 1 }
export const instanceId = `${job.jobId}.1`

export const restoreJob: RestoreJob = {
  kind: 'restore',
  jobId: `restore-${vmKey}-20260101t020000z-0123456789`,
  vmKey,
  recoveryPointId,
  disks: [
    { disk: 'os', targetDiskId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/os-2' },
    { disk: 'lun-0', targetDiskId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/data-2' },
  ],
  location: 'westeurope',
  requestedAt: '2026-01-01T02:00:00.000Z',
}

export const compareJob: CompareJob = {
  kind: 'comparison',
  jobId: `compare-${vmKey}-20260101t020000z-0123456789`,
  vmKey,
  recoveryPointId,
  disks: ['os', 'lun-0'],
  oneIn: 1,
  requestedAt: '2026-01-01T02:00:00.000Z',
  deadline: '2026-01-02T02:00:00.000Z',
}

export const maintenanceInput: MaintenanceInput = {
  passId: 'pass-20260101t020000z-0123456789',
  stage: 'expire',
  cursor: null,
  counts: nothingMaintained,
  problems: [],
}

export const labels = ['os', 'lun-0', 'lun-63']

export const transferred = (disk: string): DiskOutcome => ({
  kind: 'transferred',
  report: diskReport({ disk, kind: 'transferred', transfer: 'incremental', sizeBytes: 1 << 30, changedBytes: 4096 }),
})
export const ended = (disk: string, kind: 'failed' | 'stopped', reason: string): DiskOutcome => ({
  kind,
  report: diskReport({ disk, kind, reason, hint: 'Do this.' }),
})

/** What each activity answers when all is well. */
export const wellAnswers: Readonly<Record<string, unknown>> = {
  planBackup: { kind: 'planned', disks: labels, deadline: job.deadline },
  takeRestorePoint: {
    kind: 'ready',
    asked: 'crash',
    consistency: 'crash',
    consistentAcrossDisks: true,
    takenAt: '2026-01-01T02:00:10.000Z',
  },
  takeDiskSnapshots: {
    kind: 'ready',
    asked: 'crash',
    consistency: 'crash',
    consistentAcrossDisks: false,
    takenAt: '2026-01-01T02:00:10.000Z',
  },
  planDisk: { kind: 'planned', transfer: 'incremental', slices: 3, lanes: 1, sizeBytes: 1 << 30, changedBytes: 12288 },
  transferSlice: { kind: 'transferred', changedBytes: 4096, readBytes: 8192, storedBytes: 1000 },
  sealDisk: { kind: 'sealed', report: transferred('os').report },
  commitRecoveryPoint: { kind: 'committed', consistency: 'crash', storedBytes: 9 },
  closeSources: { kind: 'released', removed: 0 },
  releaseRestorePoints: { kind: 'released', removed: 0 },
  stopTransfers: { kind: 'asked' },
  finishJob: { kind: 'finished', milliseconds: 5 },
  concludeBackup: { kind: 'concluded', consistency: 'crash', storedBytes: 9, removed: 0, milliseconds: 5 },
  planRestore: { kind: 'planned', disks: ['os', 'lun-0'] },
  openRestoreDisk: { kind: 'open', sizeBytes: 1 << 30 },
  restoreRange: { kind: 'written', nextOffsetBytes: 1 << 30, writtenBytes: 4096 },
  finishRestoreDisk: { kind: 'finished' },
  abandonRestoreDisk: { kind: 'abandoned' },
  planComparison: {
    kind: 'planned',
    disks: [
      { disk: 'os', sizeBytes: 1 << 30 },
      { disk: 'lun-0', sizeBytes: 1 << 30 },
    ],
  },
  compareRange: {
    kind: 'done',
    nextOffsetBytes: 1 << 30,
    comparedBytes: 8192,
    differingBytes: 0,
    differing: [],
  },
  expireRecoveryPoints: { kind: 'done', counts: { expired: 2 } },
  compactLayers: { kind: 'done', counts: { folded: 3, rewrittenBytes: 4 } },
  collectGarbage: { kind: 'done', counts: { removed: 5, retained: 6 } },
  scrubVault: { kind: 'done', counts: { checkedBytes: 7 } },
}

/** What the first step answers to a story that names its attempt.
 * @param sources what came of the first ask for the copies */
export const planWith = (sources: unknown) => ({ ...(wellAnswers.planBackup as object), sources })

/** What planning answers of a disk without a change to a story that names its attempt. */
export const unchangedPlan = {
  ...(wellAnswers.planDisk as object),
  slices: 0,
  changedBytes: 0,
  unchanged: transferred('lun-63').report,
}

/** A world where some activities answer something else: an outcome, a list of outcomes run after run (the last one stays), or a
 * function of input and run that may throw. */
export const world = (answers: Readonly<Record<string, unknown>> = {}, more: Partial<World> = {}): World => ({
  activity: (name, input, run) => {
    const answer = answers[name] ?? wellAnswers[name]
    if (typeof answer === 'function') return (answer as (input: unknown, run: number) => unknown)(input, run)
    return Array.isArray(answer) ? (answer[Math.min(run, answer.length) - 1] as unknown) : answer
  },
  child: (_name, input) => ({ outcome: transferred((input as { disk: string }).disk), seconds: 60 }),
  ...more,
})

export const failedOutcome = { kind: 'failed', reason: 'some-reason', message: 'It did not work.', hint: 'Do that.' }
export const pending = { kind: 'pending', retryAfterSeconds: 7 }
export const throwing = (message: string) => () => {
  throw new Error(message)
}
