import type { DiskSource } from './disk-source.ts'
import type { Consistency, VmDescription } from './vm.ts'

/** One layer in a disk's stack, with all that is needed to read and prove it. */
export interface LayerReference {
  /** Name of the layer's object below `layers/`. */
  readonly layerId: string
  readonly lengthBytes: number
  /** Bytes of the footer at the object's end. */
  readonly footerBytes: number
  /** SHA-256 of the footer, lower-case hex; the footer holds the digests of everything else in the layer. */
  readonly digest: string
}

/** Page hashes of the disk's layer, with all that is needed to read and prove them. */
export interface SidecarReference {
  /** Name of the object below `sidecars/`. */
  readonly sidecarId: string
  readonly lengthBytes: number
  /** Bytes of the footer at the object's end. */
  readonly footerBytes: number
  /** SHA-256 of the footer, lower-case hex; the footer holds the digests of everything else in the sidecar. */
  readonly digest: string
}

/** One disk of a recovery point, as the commit record has it (docs/format.md, section 7). Bytes are of the raw disk, but `storedBytes`. */
export interface CommittedDisk {
  readonly disk: string
  readonly name: string
  readonly sizeBytes: number
  readonly source: DiskSource
  readonly transfer: 'full' | 'incremental'
  readonly fullReason: string | null
  /** Newest first; the last one lies on a disk of zeros. */
  readonly stack: readonly LayerReference[]
  /** Null where none was made: it only costs space. */
  readonly sidecar: SidecarReference | null
  /** What the policy wanted for the frames that this transfer made; each frame tells what it is. */
  readonly compression: 'zstd' | 'none'
  readonly changedBytes: number
  readonly readBytes: number
  /** Of `readBytes`: holes between changed ranges that were read through. */
  readonly joinedBytes: number
  readonly storedPlainBytes: number
  readonly storedBytes: number
}

/** The commit record: its conditional create makes a recovery point visible. Stored as JSON, described in docs/format.md. */
export interface RecoveryPoint {
  readonly format: 1
  readonly recoveryPointId: string
  readonly revision: number
  readonly vmKey: string
  readonly jobId: string
  readonly takenAt: string
  readonly committedAt: string
  readonly consistency: Consistency
  readonly consistentAcrossDisks: boolean
  /** The recovery point whose sources the incremental transfers were compared with; null when every transfer was full. */
  readonly baseRecoveryPointId: string | null
  /** The VM's recovery point before this one and the digest of its first revision's bytes (SHA-256, hex), null where that revision was
   * damaged; null for the first. */
  readonly previous: { readonly recoveryPointId: string; readonly digest: string | null } | null
  /** The data key of the frames that this recovery point's transfers made; null: they are not encrypted. */
  readonly keyId: string | null
  /** SHA-256 over the digests of all layers and the sidecar of each disk in order, hex. */
  readonly merkleRoot: string
  readonly vm: VmDescription
  readonly disks: readonly CommittedDisk[]
}
