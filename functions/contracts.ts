/**
 * The names of all orchestrations and activities, with the plain data that goes in and comes out. Everything here ends up in the
 * Durable history: no SAS URL, no list of ranges, nothing that grows with a disk. Anything larger is a named object in the
 * control container.
 */
import type { BackupJob, DiskReport, JobOutcome, RestoreJob, StopReason } from '../shared/domain/job.ts'
import type { Consistency } from '../shared/domain/vm.ts'

/** Names one activity and, for the compiler only, its input and outcome. */
export interface Activity<Input, Outcome> {
  readonly name: string
  readonly types?: { readonly input: Input; readonly outcome: Outcome }
}
export interface Orchestration<Input, Outcome> {
  readonly name: string
  readonly types?: { readonly input: Input; readonly outcome: Outcome }
}

const activity = <Input, Outcome>(name: string): Activity<Input, Outcome> => ({ name })
const orchestration = <Input, Outcome>(name: string): Orchestration<Input, Outcome> => ({ name })

/** Ask again after that many seconds; nothing went wrong. */
export type Pending = { readonly kind: 'pending'; readonly retryAfterSeconds: number }
/** A failure that another try cannot cure. */
export type Failed = {
  readonly kind: 'failed'
  readonly reason: string
  readonly message: string
  readonly hint: string
}
export type Stopped = { readonly kind: 'stopped'; readonly reason: StopReason }

/** What every step needs to find the job's objects and to prove that its attempt is the current one. */
export interface JobRef {
  readonly jobId: string
  readonly vmKey: string
  readonly recoveryPointId: string
  readonly token: string
}
export interface DiskRef extends JobRef {
  readonly disk: string
}
export interface LaneInput extends DiskRef {
  readonly lane: number
  readonly lanes: number
  readonly slices: number
  readonly next: number
}

export interface ProtectVmInput {
  readonly job: BackupJob
  readonly token: string
}
export interface RestoreVmInput {
  readonly job: RestoreJob
  readonly token: string
}

export type BackupPlanOutcome = { readonly kind: 'planned'; readonly disks: readonly string[] } | Failed
export type RestorePointOutcome =
  | {
      readonly kind: 'ready'
      readonly consistency: Consistency
      readonly consistentAcrossDisks: boolean
      readonly takenAt: string
    }
  | Pending
  | Failed
export type DiskPlanOutcome =
  | {
      readonly kind: 'planned'
      readonly transfer: 'full' | 'incremental'
      readonly slices: number
      readonly lanes: number
      readonly sizeBytes: number
      readonly changedBytes: number
    }
  | Pending
  | Stopped
  | Failed
export type SliceOutcome =
  | {
      readonly kind: 'transferred'
      readonly changedBytes: number
      readonly readBytes: number
      readonly storedBytes: number
    }
  | Pending
  | Stopped
  | Failed
export type LaneOutcome = { readonly kind: 'transferred' } | Stopped | Failed
export type SealOutcome = { readonly kind: 'sealed'; readonly report: DiskReport } | Failed
/** What a disk's orchestration ends with; it never throws. */
export type DiskOutcome = { readonly kind: 'transferred' | 'stopped' | 'failed'; readonly report: DiskReport }
export type CommitOutcome = { readonly kind: 'committed' } | Failed
export type ReleaseOutcome = { readonly kind: 'released' | 'superseded' } | Pending | Failed
export type RestoreOpenOutcome = { readonly kind: 'open'; readonly sizeBytes: number } | Pending | Failed
export type RestoreRangeOutcome =
  | { readonly kind: 'more' | 'written'; readonly nextOffsetBytes: number; readonly writtenBytes: number }
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
export const restoreDisk = orchestration<DiskRef, DiskOutcome>('restoreDisk')

export const planBackup = activity<{ job: BackupJob; token: string }, BackupPlanOutcome>('planBackup')
export const takeRestorePoint = activity<JobRef, RestorePointOutcome>('takeRestorePoint')
/** The second source: a snapshot of each disk, one after another. */
export const takeDiskSnapshots = activity<JobRef, RestorePointOutcome>('takeDiskSnapshots')
export const planDisk = activity<DiskRef, DiskPlanOutcome>('planDisk')
export const transferSlice = activity<DiskRef & { slice: number }, SliceOutcome>('transferSlice')
export const sealDisk = activity<DiskRef, SealOutcome>('sealDisk')
export const commitRecoveryPoint = activity<JobRef, CommitOutcome>('commitRecoveryPoint')
export const closeSources = activity<JobRef, ReleaseOutcome>('closeSources')
export const releaseRestorePoints = activity<JobRef, ReleaseOutcome>('releaseRestorePoints')
export const stopTransfers = activity<JobRef & { reason: StopReason }, { kind: 'asked' }>('stopTransfers')
export const finishJob = activity<JobRef & { outcome: JobOutcome }, { kind: 'finished' | 'superseded' }>('finishJob')
export const planRestore = activity<
  { job: RestoreJob; token: string },
  { kind: 'planned'; disks: readonly string[] } | Failed
>('planRestore')
export const openRestoreDisk = activity<DiskRef, RestoreOpenOutcome>('openRestoreDisk')
export const restoreRange = activity<DiskRef & { fromOffsetBytes: number }, RestoreRangeOutcome>('restoreRange')
export const finishRestoreDisk = activity<DiskRef, { kind: 'finished' } | Pending | Failed>('finishRestoreDisk')

/** The event that asks a job to stop. */
export const cancelEvent = 'cancel'
