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
/** A disk of a restore: from its start, or from where it continues as new. */
export interface RestoreDiskInput extends DiskRef {
  readonly progress: RestoreProgress | null
}

/** `attempt`: counts up from 1. Absent from instances of before version 0.2, whose story has more and smaller steps. */
export interface ProtectVmInput {
  readonly job: BackupJob
  readonly token: string
  readonly attempt?: number
}
/** A restore as it was claimed. */
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
/** A comparison as it was claimed. */
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
/** `pending` while the platform copies: asked again, the step looks how far it is. */
export type RestorePointOutcome = SourcesTaken
/** Counts and sizes, never the list of ranges: that lies in the control container. */
export type DiskPlanOutcome = DiskPlanned
/** Bytes of the raw disk, `storedBytes` as they lie in the vault. */
export type SliceOutcome = SliceTransferred
/** What the lane's slices came to together; the first that stops or fails ends the lane. */
export type LaneOutcome = { readonly kind: 'transferred'; readonly moved: Moved } | Stopped | Failed
/** The layer itself is recorded in the control container, for the commit. */
export type SealOutcome = { readonly kind: 'sealed'; readonly report: DiskReport } | Failed
/** What a disk's orchestration ends with; it never throws. */
export type DiskOutcome = { readonly kind: 'transferred' | 'stopped' | 'failed'; readonly report: DiskReport }
/** `storedBytes` of all disks of the recovery point. */
export type CommitOutcome =
  | { readonly kind: 'committed'; readonly consistency: Consistency; readonly storedBytes: number }
  | Failed
/** Either the whole ending, or how far it came: the story then does the rest step by step. */
export type ConcludeOutcome = Concluded
/** `superseded`: a later attempt has the claim, and nothing was changed. */
export type ReleaseOutcome =
  | { readonly kind: 'released'; readonly removed: number }
  | { readonly kind: 'superseded' }
  | Pending
  | Failed
/** Labels of the disks that are restored. */
export type RestorePlanOutcome = { readonly kind: 'planned'; readonly disks: readonly string[] } | Failed
/** `sizeBytes` of the raw disk that is written. */
export type RestoreOpenOutcome = { readonly kind: 'open'; readonly sizeBytes: number } | Pending | Stopped | Failed
/** `more`: everything before `nextOffsetBytes` is written. `written`: the whole disk is, but for its footer. */
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
/** One restore point of all disks, or how far the platform is with it. Key: the recovery point. */
export const takeRestorePoint = activity<JobRef, RestorePointOutcome>('takeRestorePoint')
/** The second source: a snapshot of each disk, one after another. */
export const takeDiskSnapshots = activity<JobRef, RestorePointOutcome>('takeDiskSnapshots')
/** Lists what changed and cuts it into slices. Key: the disk of the recovery point; the first plan stays. */
export const planDisk = activity<DiskRef, DiskPlanOutcome>('planDisk')
/** Moves one slice into the vault. Key: the slice of the disk; one that is committed is not moved again. */
export const transferSlice = activity<DiskRef & { slice: number }, SliceOutcome>('transferSlice')
/** Joins the slices to the disk's layer. Key: the disk of the recovery point. */
export const sealDisk = activity<DiskRef, SealOutcome>('sealDisk')
/** Makes the recovery point visible. Key: the recovery point; the first record stays. */
export const commitRecoveryPoint = activity<JobRef, CommitOutcome>('commitRecoveryPoint')
/** Commits, and where the platform is done at once, all that comes after: `closeSources`, `releaseRestorePoints` and `finishJob`. */
export const concludeBackup = activity<JobRef & { outcome: JobOutcome }, ConcludeOutcome>('concludeBackup')
/** Ends every access that the job was granted. Key: the job. */
export const closeSources = activity<JobRef, ReleaseOutcome>('closeSources')
/** Removes the platform's copies that are no base any more. Key: the recovery point, whose own copies stay. */
export const releaseRestorePoints = activity<JobRef, ReleaseOutcome>('releaseRestorePoints')
/** Asks the running slices to stop. Key: the job; the first reason stays. */
export const stopTransfers = activity<JobRef & { reason: StopReason }, { readonly kind: 'asked' }>('stopTransfers')
/** Records the outcome and gives the claim back. Key: the job; the first outcome stays. */
export const finishJob = activity<
  JobRef & { outcome: JobOutcome },
  { readonly kind: 'finished'; readonly milliseconds: number } | { readonly kind: 'superseded' }
>('finishJob')
/** Says which disks are restored, and protects what they need. Key: the job. */
export const planRestore = activity<{ job: RestoreJob; token: string }, RestorePlanOutcome>('planRestore')
/** Makes the disk and opens it for upload. Key: the target disk. */
export const openRestoreDisk = activity<DiskRef, RestoreOpenOutcome>('openRestoreDisk')
/** Writes from an offset on, as much as one activity should. Key: the offset: the same bytes go to the same place. */
export const restoreRange = activity<DiskRef & { fromOffsetBytes: number }, RestoreRangeOutcome>('restoreRange')
/** Writes the footer and ends the upload: the disk can be attached. */
export const finishRestoreDisk = activity<DiskRef, { readonly kind: 'finished' } | Pending | Failed>(
  'finishRestoreDisk',
)
/** Ends the access to a disk whose restore is given up. It gets no footer, so nobody can take it for a restored one. */
export const abandonRestoreDisk = activity<DiskRef, { readonly kind: 'abandoned' } | Pending | Failed>(
  'abandonRestoreDisk',
)

/** Says which disks are compared, and protects what they need. Key: the job. */
export const planComparison = activity<{ job: CompareJob; token: string }, ComparisonPlanned>('planComparison')
/** Compares from an offset on, as much as one activity should. Changes nothing. */
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
