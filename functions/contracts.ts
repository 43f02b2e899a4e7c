/**
 * The names of all orchestrations and activities, with the plain data that goes in and comes out. Everything here ends up in the
 * Durable history: no SAS URL, no list of ranges, nothing that grows with a disk. Anything larger is a named object in the
 * control container.
 */

import type { Extent } from '../shared/domain/extent.ts'
import type { BackupJob, CompareJob, DiskReport, JobOutcome, RestoreJob, StopReason } from '../shared/domain/job.ts'
import type { DiskRef, Failed, JobRef, Pending, Stopped } from '../shared/domain/job-ref.ts'
import type {
  MaintenanceCounts,
  MaintenanceOutcome,
  MaintenancePass,
  MaintenanceProblem,
  MaintenanceStage,
  MaintenanceStep,
  MaintenanceStepOutcome,
  Mended,
} from '../shared/domain/maintenance.ts'
import type { Moved } from '../shared/domain/progress.ts'
import type { Consistency } from '../shared/domain/vm.ts'
import type { RangeCompared } from '../shared/jobs/compare-planned-range.ts'
import type { Concluded } from '../shared/jobs/conclude-backup.ts'
import type { ComparisonPlanned } from '../shared/jobs/plan-comparison.ts'
import type { DiskPlanned } from '../shared/jobs/plan-disk-transfer.ts'
import type { VmPlanned } from '../shared/jobs/plan-vm-backup.ts'
import type { SourcesTaken } from '../shared/jobs/take-sources.ts'
import type { SliceTransferred } from '../shared/jobs/transfer-disk-slice.ts'

/** Names one activity and, for the compiler only, its input and outcome. */
export interface Activity<Input, Outcome> {
  readonly name: string
  readonly types?: { readonly input: Input; readonly outcome: Outcome }
}
/** Names one orchestration and, for the compiler only, its input and outcome. */
export interface Orchestration<Input, Outcome> {
  readonly name: string
  readonly types?: { readonly input: Input; readonly outcome: Outcome }
}

const activity = <Input, Outcome>(name: string): Activity<Input, Outcome> => ({ name })
const orchestration = <Input, Outcome>(name: string): Orchestration<Input, Outcome> => ({ name })

/** A lane takes every `lanes`-th slice from `next` on; `moved` is carried over when it continues as new. */
export interface LaneInput extends DiskRef {
  readonly lane: number
  readonly lanes: number
  readonly slices: number
  readonly next: number
  readonly moved: Moved
}
/** What a restore of one disk carries over when it continues as new; null at its start. */
export interface RestoreProgress {
  readonly sizeBytes: number
  readonly nextOffsetBytes: number
  readonly moved: Moved
  readonly startedAt: string
}
export interface RestoreDiskInput extends DiskRef {
  readonly progress: RestoreProgress | null
}

/** `attempt`: counts up from 1. Absent from instances of before version 0.2, whose story has more and smaller steps. */
export interface ProtectVmInput {
  readonly job: BackupJob
  readonly token: string
  readonly attempt?: number
}
export interface RestoreVmInput {
  readonly job: RestoreJob
  readonly token: string
}

/** What a comparison carries over when it continues as new. `reports` has one for each disk that is done; `at` is in the next one. */
export interface ComparisonProgress {
  readonly disks: readonly { readonly disk: string; readonly sizeBytes: number }[]
  readonly reports: readonly DiskReport[]
  readonly at: DiskComparison
}
/** How far one disk is. `differing`: the first ranges that differ. */
export interface DiskComparison {
  readonly nextOffsetBytes: number
  readonly comparedBytes: number
  readonly differingBytes: number
  readonly differing: readonly Extent[]
  readonly startedAt: string
}
export interface CompareVmInput {
  readonly job: CompareJob
  readonly token: string
  /** Absent at its start. */
  readonly progress?: ComparisonProgress
}

/** Where a pass over the vault is, carried over when it continues as new. `cursor`: where the stage goes on; null at its start. */
export interface MaintenanceInput extends MaintenancePass {
  readonly stage: MaintenanceStage
  readonly cursor: string | null
  readonly counts: MaintenanceCounts
  readonly problems: readonly MaintenanceProblem[]
  /** Absent where nothing was mended so far. */
  readonly mended?: readonly Mended[]
}
/** `deadline`: when the transfers are stopped; null for never. `sources`: what came of the first ask for the copies, where the step made it. */
export type BackupPlanOutcome = (VmPlanned & { readonly sources?: SourcesTaken }) | Failed
export type RestorePointOutcome = SourcesTaken
export type DiskPlanOutcome = DiskPlanned
export type SliceOutcome = SliceTransferred
export type LaneOutcome = { readonly kind: 'transferred'; readonly moved: Moved } | Stopped | Failed
export type SealOutcome = { readonly kind: 'sealed'; readonly report: DiskReport } | Failed
/** What a disk's orchestration ends with; it never throws. */
export type DiskOutcome = { readonly kind: 'transferred' | 'stopped' | 'failed'; readonly report: DiskReport }
export type CommitOutcome =
  | { readonly kind: 'committed'; readonly consistency: Consistency; readonly storedBytes: number }
  | Failed
export type ConcludeOutcome = Concluded
export type ReleaseOutcome =
  | { readonly kind: 'released'; readonly removed: number }
  | { readonly kind: 'superseded' }
  | Pending
  | Failed
export type RestorePlanOutcome = { readonly kind: 'planned'; readonly disks: readonly string[] } | Failed
export type RestoreOpenOutcome = { readonly kind: 'open'; readonly sizeBytes: number } | Pending | Stopped | Failed
export type RestoreRangeOutcome =
  | { readonly kind: 'more'; readonly nextOffsetBytes: number; readonly writtenBytes: number }
  | { readonly kind: 'written'; readonly nextOffsetBytes: number; readonly writtenBytes: number }
  | Pending
  | Stopped
  | Failed

/** One per VM: the story of a backup. */
export const protectVm = orchestration<ProtectVmInput, JobOutcome>('protectVm')
/** One per disk: plan, transfer, seal. */
export const protectDisk = orchestration<DiskRef, DiskOutcome>('protectDisk')
/** One of several children that transfer the slices of one large disk. */
export const transferLane = orchestration<LaneInput, LaneOutcome>('transferLane')
/** The story of a restore of one VM's disks. */
export const restoreVm = orchestration<RestoreVmInput, JobOutcome>('restoreVm')
/** One per disk of a restore: open, write, finish. */
export const restoreDisk = orchestration<RestoreDiskInput, DiskOutcome>('restoreDisk')

/** One per VM: a recovery point is compared with what it was made from. */
export const compareVm = orchestration<CompareVmInput, JobOutcome>('compareVm')

/** One at a time for the whole vault: expire, compact, collect, scrub. */
export const maintainVault = orchestration<MaintenanceInput, MaintenanceOutcome>('maintainVault')

/** Also asks for the copies a first time, for a story that names its attempt. */
export const planBackup = activity<ProtectVmInput, BackupPlanOutcome>('planBackup')
export const takeRestorePoint = activity<JobRef, RestorePointOutcome>('takeRestorePoint')
/** The second source: a snapshot of each disk, one after another. */
export const takeDiskSnapshots = activity<JobRef, RestorePointOutcome>('takeDiskSnapshots')
export const planDisk = activity<DiskRef, DiskPlanOutcome>('planDisk')
export const transferSlice = activity<DiskRef & { slice: number }, SliceOutcome>('transferSlice')
export const sealDisk = activity<DiskRef, SealOutcome>('sealDisk')
export const commitRecoveryPoint = activity<JobRef, CommitOutcome>('commitRecoveryPoint')
/** Commits, and where the platform is done at once, all that comes after: `closeSources`, `releaseRestorePoints` and `finishJob`. */
export const concludeBackup = activity<JobRef & { outcome: JobOutcome }, ConcludeOutcome>('concludeBackup')
export const closeSources = activity<JobRef, ReleaseOutcome>('closeSources')
export const releaseRestorePoints = activity<JobRef, ReleaseOutcome>('releaseRestorePoints')
export const stopTransfers = activity<JobRef & { reason: StopReason }, { readonly kind: 'asked' }>('stopTransfers')
export const finishJob = activity<
  JobRef & { outcome: JobOutcome },
  { readonly kind: 'finished'; readonly milliseconds: number } | { readonly kind: 'superseded' }
>('finishJob')
export const planRestore = activity<{ job: RestoreJob; token: string }, RestorePlanOutcome>('planRestore')
export const openRestoreDisk = activity<DiskRef, RestoreOpenOutcome>('openRestoreDisk')
export const restoreRange = activity<DiskRef & { fromOffsetBytes: number }, RestoreRangeOutcome>('restoreRange')
/** Writes the footer and ends the upload: the disk can be attached. */
export const finishRestoreDisk = activity<DiskRef, { readonly kind: 'finished' } | Pending | Failed>(
  'finishRestoreDisk',
)
/** Ends the access to a disk whose restore is given up. It gets no footer, so nobody can take it for a restored one. */
export const abandonRestoreDisk = activity<DiskRef, { readonly kind: 'abandoned' } | Pending | Failed>(
  'abandonRestoreDisk',
)

export const planComparison = activity<{ job: CompareJob; token: string }, ComparisonPlanned>('planComparison')
export const compareRange = activity<DiskRef & { fromOffsetBytes: number }, RangeCompared>('compareRange')

/** Ends recovery points by the retention of their policies. */
export const expireRecoveryPoints = activity<MaintenanceStep, MaintenanceStepOutcome>('expireRecoveryPoints')
/** Folds the layers of some VMs and moves data out of sparse segments. */
export const compactLayers = activity<MaintenanceStep, MaintenanceStepOutcome>('compactLayers')
/** Removes what nothing needs any more. */
export const collectGarbage = activity<MaintenanceStep, MaintenanceStepOutcome>('collectGarbage')
/** Reads and proves what was not checked for longest. */
export const scrubVault = activity<MaintenanceStep, MaintenanceStepOutcome>('scrubVault')

/** The event that asks a job to stop. */
export const cancelEvent = 'cancel'
