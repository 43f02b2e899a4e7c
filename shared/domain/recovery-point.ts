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

export interface CommittedDisk {
  readonly disk: string
  readonly name: string
  readonly sizeBytes: number
  readonly source: DiskSource
  readonly transfer: 'full' | 'incremental'
  readonly fullReason: string | null
  /** Newest first; the last one lies on a disk of zeros. */
  readonly stack: readonly LayerReference[]
  readonly changedBytes: number
  readonly readBytes: number
  readonly storedPlainBytes: number
  readonly storedBytes: number
}

/** The commit record: its conditional create makes a recovery point visible. Stored as JSON, described in docs/format.md. */
export interface RecoveryPoint {
  readonly format: 0
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
  /** The VM's recovery point before this one and the digest of its first revision's bytes (SHA-256, hex); null for the first. */
  readonly previous: { readonly recoveryPointId: string; readonly digest: string } | null
  /** Null: not encrypted. */
  readonly keyId: string | null
  /** SHA-256 over the digests of all layers of all disks in order, hex. */
  readonly merkleRoot: string
  readonly vm: VmDescription
  readonly disks: readonly CommittedDisk[]
}
