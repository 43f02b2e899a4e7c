import type { DiskSource } from '../domain/disk-source.ts'
import type { BackupJob, Compression } from '../domain/job.ts'
import type { Failed } from '../domain/job-ref.ts'
import { failed } from '../domain/job-ref.ts'
import type { LayerReference, RecoveryPoint } from '../domain/recovery-point.ts'
import type { VmDescription } from '../domain/vm.ts'
import type { BlobCreator, BlobReader } from '../ports/blob-store.ts'
import type { SnapshotSet } from '../ports/compute.ts'
import type { Comparison } from '../vault/comparison.ts'
import { sourcesName, vmPlanName } from './control-names.ts'
import { decideOnce, readDecision } from './json-object.ts'

/** What a disk's transfer is compared with: the copy that the platform still keeps of an earlier recovery point. */
export interface PlannedBase {
  readonly recoveryPointId: string
  readonly source: DiskSource
  /** Size of the disk then. */
  readonly sizeBytes: number
  /** What the new layer lies on, newest first: as it was behind the intent, whatever becomes of the recovery point since. */
  readonly stack: readonly LayerReference[]
}

/** One disk of a backup. Exactly one of `base` and `fullReason` is null. */
export interface PlannedDisk {
  readonly disk: string
  readonly base: PlannedBase | null
  readonly fullReason: string | null
  /** What the transfer is compared with, should it be full; null where there is nothing, and all of it is stored. */
  readonly comparison: Comparison | null
  /** The image that the disk was made from, where its layer is to become the base of other disks made from it. */
  readonly image: { readonly image: string; readonly imageKey: string } | null
}

/** How the frames of a backup are stored, decided once for all of its attempts. */
export interface PlannedEncoding {
  readonly compression: Compression
  /** Id of the data key; null: not encrypted. */
  readonly keyId: string | null
}

/** `plans/<recoveryPointId>/vm.json`: what the backup will do, decided once. Every attempt of the job takes the same plan. */
export interface BackupPlan {
  readonly job: BackupJob
  readonly vm: VmDescription
  readonly disks: readonly PlannedDisk[]
  readonly encoding: PlannedEncoding
  /** The VM's last recovery point, for the chain of commit records. No other can come in between: the plan is carried out under the VM's
   * claim, and given up once another backup is committed. */
  readonly previous: RecoveryPoint['previous']
  /** The VM's backup that could still go on when this one began; its ending replaces it. The note of it is written under the VM's claim alone, so it
   * stays true while the job that planned holds that. Absent from plans of earlier versions. */
  readonly unfinished?: Unfinished | null
  readonly plannedAt: string
}

/** A backup that took its copies and ended without a commit. */
export interface Unfinished {
  readonly jobId: string
  readonly recoveryPointId: string
}

/** Lies in place of the plan of a job that ended without one. */
interface PlanClosed {
  readonly isClosed: true
}

/** When the transfers of the plan are stopped; null for never. A policy's window is for increments: a disk that has to be read as a whole
 * takes as long as it takes. A window that the request named holds for any run.
 * @param job as it runs now: resumed, it has another deadline than the plan's */
export const windowEndOf = ({ disks }: BackupPlan, job: BackupJob): string | null =>
  job.windowFor === 'everything' || disks.every(({ base }) => base !== null) ? job.deadline : null

/** Null where there is none, also where there will be none. */
export const readBackupPlan = async (control: BlobReader, recoveryPointId: string): Promise<BackupPlan | null> => {
  const decided = await readDecision<BackupPlan | PlanClosed>(control, vmPlanName(recoveryPointId))
  return decided === null || 'isClosed' in decided ? null : decided
}

/** The plan that counts: the first one. Null where the job ended before it had any. Key: the recovery point. */
export const decidePlan = async (control: BlobCreator, plan: BackupPlan): Promise<BackupPlan | null> => {
  const decided = await decideOnce<BackupPlan | PlanClosed>(control, vmPlanName(plan.job.recoveryPointId), plan)
  return 'isClosed' in decided ? null : decided
}

/** Takes the plan's name before the job ends without one, so that a late run of its first step, which asks for copies as soon as it has made the plan, makes
 * none. Repeatable; where there is a plan, it stays. */
export const closePlan = async (control: BlobCreator, recoveryPointId: string): Promise<void> => {
  await decideOnce<BackupPlan | PlanClosed>(control, vmPlanName(recoveryPointId), { isClosed: true })
}

/** The platform's copies that were taken for the backup; null as long as none is noted.
 * @throws VaultError where the note is damaged */
export const readSources = (control: BlobReader, recoveryPointId: string): Promise<SnapshotSet | null> =>
  readDecision<SnapshotSet>(control, sourcesName(recoveryPointId))

/** One disk of the plan with the source that was taken for it. */
export interface DiskToTransfer {
  readonly plan: BackupPlan
  readonly planned: PlannedDisk
  readonly source: DiskSource
}

/** Finds a disk's plan and source; `plan-missing` where somebody removed the job's control objects. */
export const findDisk = async (
  control: BlobReader,
  ref: { readonly recoveryPointId: string; readonly disk: string },
): Promise<DiskToTransfer | Failed> => {
  const plan = await readBackupPlan(control, ref.recoveryPointId)
  const sources = await readSources(control, ref.recoveryPointId)
  const planned = plan?.disks.find(({ disk }) => disk === ref.disk)
  const taken = sources?.disks.find(({ disk }) => disk === ref.disk)
  if (plan == null || planned === undefined || taken === undefined) return planMissing
  return { plan, planned, source: taken.source }
}

/** The answer of a step that finds no plan, or a plan without its disk. Another try does not cure it. */
export const planMissing: Failed = failed(
  'plan-missing',
  'The plan of this backup is not in the control container, or does not name this disk.',
  'Start a new backup. Check that nothing but the function app removes objects below plans/.',
)
