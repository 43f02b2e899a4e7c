import type { RestoreJob } from '../domain/job.ts'
import { type DiskRef, type Failed, failed } from '../domain/job-ref.ts'
import type { RecoveryPoint } from '../domain/recovery-point.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import type { RestoreDiskRequest } from '../ports/compute.ts'
import { readRevision } from '../vault/recovery-points.ts'
import { restorePlanName } from './control-names.ts'
import { readJson } from './json-object.ts'

/** `plans/<jobId>/restore.json` */
export interface RestorePlan {
  readonly job: RestoreJob
  /** Of the commit record: it is kept while the job's intent is there, even where the recovery point ends meanwhile. */
  readonly revision: number
}

/** What the restore will do; null while it is not decided. The plan of a job never changes.
 * @throws ControlObjectError where the bytes are no JSON */
export const readRestorePlan = async (control: BlobReader, jobId: string): Promise<RestorePlan | null> =>
  (await readJson<RestorePlan>(control, restorePlanName(jobId)))?.value ?? null

/** One disk of a restore: the record that it comes from, and the disk to make. */
export interface DiskToRestore {
  readonly recoveryPoint: RecoveryPoint
  readonly sizeBytes: number
  readonly request: RestoreDiskRequest
}

/** Finds what a disk's restore needs, or says what is missing. */
export const findRestoreDisk = async (
  from: { readonly control: BlobReader; readonly vault: BlobReader },
  ref: DiskRef,
): Promise<DiskToRestore | Failed> => {
  const plan = await readRestorePlan(from.control, ref.jobId)
  const target = plan?.job.disks.find(({ disk }) => disk === ref.disk)
  if (plan === null || target === undefined) return planMissing
  const { job, revision } = plan
  const record = (await readRevision(from.vault, job, revision, {}))?.record
  const recoveryPoint = record !== undefined && 'disks' in record ? record : null
  const committed = recoveryPoint?.disks.find(({ disk }) => disk === ref.disk)
  if (recoveryPoint === null || committed === undefined) return notInVault(job.recoveryPointId, ref.disk)
  const request = requestOf(job, recoveryPoint, ref.disk, target.targetDiskId, committed.sizeBytes)
  return { recoveryPoint, sizeBytes: committed.sizeBytes, request }
}

const requestOf = (
  job: RestoreJob,
  { vm }: RecoveryPoint,
  label: string,
  diskId: string,
  sizeBytes: number,
): RestoreDiskRequest => {
  const original = vm.disks.find(({ disk }) => disk === label)
  return {
    diskId,
    location: job.location,
    sizeBytes,
    sku: original?.sku ?? 'Premium_LRS',
    osType: label === 'os' ? vm.osType : null,
    hyperVGeneration: label === 'os' ? vm.hyperVGeneration : null,
    zones: job.location.toLowerCase() === vm.location.toLowerCase() ? (original?.zones ?? []) : [],
    tags: {},
    jobId: job.jobId,
  }
}

const planMissing = failed(
  'plan-missing',
  'The plan of this restore is not in the control container, or does not name this disk.',
  'Start the restore again. Check that nothing but the function app removes objects below plans/.',
)

const notInVault = (recoveryPointId: string, disk: string): Failed =>
  failed(
    'recovery-point-missing',
    `The recovery point ${recoveryPointId} is not in the vault, or has no disk ${disk}.`,
    'List the recovery points of the VM and choose one of them.',
  )
