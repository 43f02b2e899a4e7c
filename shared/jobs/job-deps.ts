import type { SourceKind } from '../domain/job.ts'
import type { DataKey } from '../format/data-key.ts'
import type { ControlStore, VaultStore } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { DiskAccess, RestoreDisks, VmInventory, VmSnapshots } from '../ports/compute.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import type { RestoreLane } from '../vault/restore-lane.ts'
import type { SliceTransfer, TransferSliceRequest } from '../vault/transfer-slice.ts'
import type { VaultKeys } from '../vault/vault-keys.ts'

/** Access grants with a memory of those that are live. */
export interface RenewableAccess extends DiskAccess {
  /** Drops what is remembered of a grant that has ended, so that the next one is asked of the platform. */
  forget(resourceId: string): void
}

/** Limits that the operator may set. */
export interface JobLimits {
  readonly sliceBytes: number
  readonly lanesMax: number
  /** How long a SAS lives, in seconds. */
  readonly accessSeconds: number
}

/** Everything that the steps of jobs work with. Steps name the parts they use. */
export interface JobDeps {
  readonly clock: Clock
  /** A new random text; used for tokens and causes. */
  readonly newToken: () => string
  readonly vault: VaultStore
  readonly control: ControlStore
  /** Encrypt and decrypt what lies in the vault. */
  readonly keys: VaultKeys
  readonly inventory: VmInventory
  readonly snapshots: Readonly<Record<SourceKind, VmSnapshots>>
  readonly access: RenewableAccess
  readonly restoreDisks: RestoreDisks
  /** Opens a disk source, compared with its base where one is given. The URLs are secrets. */
  readonly openReader: (sasUrl: string, baseSasUrl: string | null) => DiskReader
  readonly openWriter: (sasUrl: string, sizeBytes: number) => DiskWriter
  /** Chooses the thread that moves a slice, this one by calling `here`. Without it, this one moves them all. */
  readonly moveSlice?: (
    sasUrl: string,
    request: TransferSliceRequest,
    here: (request: TransferSliceRequest) => Promise<SliceTransfer>,
  ) => Promise<SliceTransfer>
  /** Has other threads, as many as are free, write parts of a disk that is restored; see `restoreRange`. Without it, this thread writes all.
   * @param target both are secret: the URL of the disk, and keys for what is encrypted */
  readonly restoreLanes?: (
    target: { readonly sasUrl: string; readonly keys: readonly DataKey[] },
    lane: RestoreLane,
  ) => readonly Promise<void>[]
  readonly limits: JobLimits
}
