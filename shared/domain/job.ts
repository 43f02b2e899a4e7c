import type { Consistency } from './vm.ts'

/** Why a running transfer was asked to stop. */
export type StopReason = 'cancelled' | 'missedWindow'

/** Which of the platform's copies a backup reads: one restore point for all disks, or a snapshot of each disk (not consistent across disks). */
export type SourceKind = 'restorePoints' | 'diskSnapshots'

/** Whether frames are compressed; what zstd would not make smaller is stored as it is. */
export type Compression = 'zstd' | 'none'

/** One backup of one VM, as it was asked for. It outlives its Durable instances, which are its attempts. Nothing of it
 * changes but the deadline, when it is resumed. */
export interface BackupJob {
  readonly kind: 'backup'
  /** `backup-<vmKey>-<slot>-<mark>`; printable ASCII, at most 80 characters, no `/`. */
  readonly jobId: string
  readonly vmId: string
  readonly vmKey: string
  /** Belongs to the job: every attempt works on the same recovery point. */
  readonly recoveryPointId: string
  /** Null for a backup on demand that named no policy. */
  readonly policy: string | null
  readonly trigger: 'schedule' | 'onDemand'
  readonly consistency: Consistency
  readonly source: SourceKind
  /** Labels of disks that the policy leaves out. */
  readonly excludedDisks: readonly string[]
  /** Absent: `zstd`. */
  readonly compression?: Compression
  /** Null or absent: encrypted where the app has a wrapping key. */
  readonly encryption?: boolean | null
  readonly requestedAt: string
  /** End of the window: a transfer that is not done by then is stopped, and what it wrote is kept. */
  readonly deadline: string
  /** What the window holds for; absent: `increments`. */
  readonly windowFor?: WindowFor
}

/** `increments`: a run that reads a disk as a whole takes as long as it takes. `everything`: whoever asked for the backup named the window,
 * so it ends a full one too. */
export type WindowFor = 'increments' | 'everything'

/** One restore of disks of one recovery point into new managed disks. */
export interface RestoreJob {
  readonly kind: 'restore'
  /** `restore-<vmKey>-<stamp>-<random>`. */
  readonly jobId: string
  readonly vmKey: string
  readonly recoveryPointId: string
  /** Each disk to restore with the ARM id of the disk to make. */
  readonly disks: readonly { readonly disk: string; readonly targetDiskId: string }[]
  readonly location: string
  readonly requestedAt: string
}

/** One comparison of a recovery point with the platform's copies that it was made from, byte by byte. It holds the VM's claim, as a backup would
 * remove these copies. */
export interface CompareJob {
  readonly kind: 'comparison'
  /** `compare-<vmKey>-<stamp>-<random>`. */
  readonly jobId: string
  readonly vmKey: string
  readonly recoveryPointId: string
  /** Labels of the disks that are compared, one after another. */
  readonly disks: readonly string[]
  /** One in so many windows of 16 MiB is compared; 1: all. */
  readonly oneIn: number
  readonly requestedAt: string
  /** It stops then, so that it does not keep backups waiting. */
  readonly deadline: string
}

/** Told apart by `kind`. All kinds are claimed, supervised and closed in the same way. */
export type Job = BackupJob | RestoreJob | CompareJob

/** The exclusive right to run a job for one item. Kept as `claims/<vmKey>` and changed only by ETag. */
export interface Claim {
  readonly job: Job
  /** Counts up from 1; the Durable instance is `<jobId>.<attempt>`. */
  readonly attempt: number
  /** New with each attempt. Steps that are not create-if-absent check that the claim still carries it. */
  readonly token: string
  /** When this attempt took it. */
  readonly takenAt: string
  /** When the job started; stays over its attempts. Absent from claims of before version 0.2. */
  readonly startedAt?: string
  /** Present once the job was asked to stop; later attempts stop, too. */
  readonly stopping?: StopReason
  /** True once the attempt has begun to end its accesses; nothing is opened for it any more. */
  readonly isClosing?: boolean
  /** Present where the job had ended before and goes on. */
  readonly resumed?: Resumption
}

/** How an ended job came to go on. */
export interface Resumption {
  /** The first attempt since then. */
  readonly attempt: number
  /** The scheduled job that waits for this one; null where somebody asked. */
  readonly slotJobId: string | null
}

/** What a job ended with; absent while it runs. Every failure names a reason and a hint. */
export type JobOutcome =
  | { readonly kind: 'completed'; readonly recoveryPointId: string; readonly summary: JobSummary }
  | {
      readonly kind: 'cancelled' | 'missedWindow'
      readonly reason: string
      readonly hint: string
      readonly disks: readonly DiskReport[]
    }
  | {
      readonly kind: 'failed'
      readonly reason: string
      readonly message: string
      readonly hint: string
      readonly disks: readonly DiskReport[]
    }

/** What a completed backup reached. Consistency is null where nothing was taken, as in a restore or a comparison. */
export interface JobSummary {
  readonly consistency: Consistency | null
  readonly consistentAcrossDisks: boolean
  readonly disks: readonly DiskReport[]
}

/** One disk's line of the report. Bytes are of the raw disk; `stored` is after compression, `storedPlain` before it. */
export interface DiskReport {
  readonly disk: string
  readonly kind: 'transferred' | 'stopped' | 'failed' | 'restored' | 'compared'
  readonly transfer: 'full' | 'incremental' | null
  /** Why a transfer was full; null for an incremental. */
  readonly fullReason: string | null
  /** What a full transfer was compared with, so that only what differs was stored: what the vault held of the disk, or a disk made from the same
   * image; null where all that was read was stored. */
  readonly comparedWith: 'vault' | 'image' | null
  readonly sizeBytes: number
  readonly allocatedBytes: number | null
  /** Named by the platform's diff (data and cleared); where the transfer was compared, what differed. */
  readonly changedBytes: number
  /** Received from the source: data ranges, joined holes, and what was read again after a fault. */
  readonly readBytes: number
  /** Holes between data ranges that were read through, as that is cheaper than another request. */
  readonly joinedBytes: number
  readonly storedPlainBytes: number
  readonly storedBytes: number
  readonly milliseconds: number
  readonly reason: string | null
  readonly hint: string | null
}

/** What is told of a job. Kept once it has ended, and replaced when it goes on after that; while a job runs for the first time, its claim says it all. */
export interface JobRecord {
  readonly job: Job
  readonly startedAt: string
  readonly attempts: number
  readonly endedAt: string | null
  readonly outcome: JobOutcome | null
  /** The slots' jobs that it was resumed for: once for each. */
  readonly resumedFor?: readonly string[]
}
