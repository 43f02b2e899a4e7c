/**
 * What is needed of the compute platform. Nothing here waits for it: a call either has its answer or says, by `pending`, how long to
 * stay away; long operations are begun and asked again from a durable timer (docs/adr/0010). `failed` holds what the platform said, cut,
 * without secrets.
 */
import type { DiskSource } from '../domain/disk-source.ts'
import type { Failed, Pending } from '../domain/job-ref.ts'
import type { Consistency, VmDescription, VmSelection } from '../domain/vm.ts'

/** Decides by a VM's id, as it is listed, whether its description is needed. Must not throw. */
export type IsWanted = (vmId: string) => Promise<boolean>

/** Finds VMs and describes them with their disks. */
export interface VmInventory {
  /** Null where the VM does not exist or may not be read. */
  find(vmId: string): Promise<VmDescription | null>
  /** VMs that match, page by page, in the platform's order.
   * @param isWanted is asked of each before it is described, which takes a call for the VM and one for each disk */
  select(selection: VmSelection, isWanted?: IsWanted): AsyncIterable<VmDescription>
}

/** What the platform is to copy, and under which recovery point's name: asked again, it answers with the same copies. */
export interface SnapshotRequest {
  readonly vm: VmDescription
  readonly recoveryPointId: string
  readonly consistency: Consistency
  /** Labels of the disks to take (`os`, `lun-0`, …); the others of the VM are excluded. */
  readonly disks: readonly string[]
}

/** The sources of all disks of one VM for one recovery point. */
export interface SnapshotSet {
  /** `restorePoint`: one moment for all disks. `diskSnapshots`: one after another, not consistent across disks. */
  readonly kind: 'restorePoint' | 'diskSnapshots'
  /** ARM id of the restore point; null for disk snapshots. */
  readonly restorePointId: string | null
  /** What was reached, which may be less than was asked for. */
  readonly consistency: Consistency
  readonly takenAt: string
  readonly disks: readonly { readonly disk: string; readonly source: DiskSource }[]
}

/** One way to get readable, immutable copies of a VM's disks. Names are made from the recovery point id alone, so `ensure` finds its
 * twin instead of making another. */
export interface VmSnapshots {
  /** Begins what is not there yet; never makes a second one for the same recovery point. */
  ensure(
    request: SnapshotRequest,
  ): Promise<{ readonly kind: 'ready'; readonly snapshots: SnapshotSet } | Pending | Failed>
  /** Removes every restore point and snapshot of ours of this VM but those of the recovery points in `keep`. Access to a source is
   * revoked before. Repeatable. */
  release(
    vm: { readonly vmId: string; readonly vmKey: string },
    keep: readonly string[],
  ): Promise<{ readonly kind: 'released'; readonly removed: number } | Pending | Failed>
}

/** Gives and ends access to a disk, a snapshot or a disk restore point, by its ARM id. */
export interface DiskAccess {
  /** A read SAS URL for the source. The URL is a secret: it stays inside the activity that asked. Asked again while one is live, the
   * platform extends it and returns the same URL.
   * @param waitMs how long this call may poll before it answers `pending` */
  grantRead(
    resourceId: string,
    durationSeconds: number,
    waitMs: number,
  ): Promise<{ readonly kind: 'granted'; readonly sasUrl: string } | Pending | Failed>
  /** Ends all access to the source; harmless where there is none or the source is gone. */
  revoke(resourceId: string): Promise<{ readonly kind: 'revoked' } | Pending | Failed>
  /** False where the source is gone. */
  exists(resourceId: string): Promise<boolean>
}

/** A managed disk that is to be made, empty, for an upload. */
export interface RestoreDiskRequest {
  /** ARM id of the disk to make. It must not exist, or have been made by the same restore job. */
  readonly diskId: string
  readonly location: string
  readonly sizeBytes: number
  readonly sku: string
  readonly osType: 'Linux' | 'Windows' | null
  readonly hyperVGeneration: 'V1' | 'V2' | null
  readonly zones: readonly string[]
  readonly tags: Readonly<Record<string, string>>
  /** Marks the disk as this job's, so that a repeated call tells its own from another's. */
  readonly jobId: string
}

/** Makes the disks that restores write. Every call may be repeated. */
export interface RestoreDisks {
  /** Creates the upload disk and grants write access to it. `sasUrl` is a secret. */
  open(
    request: RestoreDiskRequest,
    waitMs: number,
  ): Promise<{ readonly kind: 'open'; readonly sasUrl: string } | Pending | Failed>
  /** Revokes the access, which turns the upload into a disk that can be attached. Repeatable. A disk of another job is left alone, and
   * `failed` says so: its upload may be under way. */
  finish(diskId: string, jobId: string, waitMs: number): Promise<{ readonly kind: 'finished' } | Pending | Failed>
}
