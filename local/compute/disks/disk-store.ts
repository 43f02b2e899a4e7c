/**
 * What the compute emulator's control plane knows of bytes. A content is the data behind one managed disk, one snapshot or
 * one disk restore point; the control plane names it, the store keeps it below the emulator's data folder.
 */

export type ContentId = string

export type ContentKind = 'disk' | 'upload' | 'snapshot'

export interface ContentDescription {
  readonly id: ContentId
  readonly kind: ContentKind
  /** Bytes without the VHD footer; a multiple of 512. */
  readonly sizeBytes: number
  /** Snapshots of one disk share a family; a disk made anew under the same name starts a new one. */
  readonly familyId: string
  /** The raw file that holds the bytes, for people and for `cmp`. */
  readonly imagePath: string
  /** Counts up with each snapshot of a family: a diff's base must be the older. */
  readonly sequence: number
}

export interface AccessGrant {
  readonly sasUrl: string
  readonly expiresAt: Date
}

export interface DiskStore {
  /** A disk whose bytes are an ordinary raw file that others may write to at any time between calls. */
  adoptRawImage(id: ContentId, imagePath: string): Promise<ContentDescription>
  /** A disk of zeros. */
  createEmpty(id: ContentId, sizeBytes: number): Promise<ContentDescription>
  /** A disk to be written through a write SAS: sizeBytes plus a 512-byte footer. */
  createUpload(id: ContentId, sizeBytes: number): Promise<ContentDescription>
  /** Ends an upload: 'ok', or why its footer is not that of a fixed VHD of this size. */
  finishUpload(
    id: ContentId,
  ): Promise<{ readonly kind: 'ok' } | { readonly kind: 'badFooter'; readonly message: string }>
  /** An immutable copy of a disk as it is now, in the disk's family.
   * @throws DiskImageError where a raw file of somebody else's is gone or has another length than the disk */
  snapshot(diskId: ContentId, snapshotId: ContentId): Promise<ContentDescription>
  /** A new, independent disk (or snapshot copy) with the bytes of another content; may be larger, never smaller. */
  copy(sourceId: ContentId, id: ContentId, kind: ContentKind, sizeBytes: number): Promise<ContentDescription>
  /** Makes a disk larger; the new part reads as zeros. */
  resize(id: ContentId, sizeBytes: number): Promise<void>
  describe(id: ContentId): Promise<ContentDescription | null>
  /** Frees the bytes; an adopted raw file is left where it is. */
  remove(id: ContentId): Promise<void>
  /** A SAS URL of the data plane. While one is live it is extended and the same URL returned. */
  grant(id: ContentId, access: 'Read' | 'Write', durationSeconds: number): Promise<AccessGrant>
  /** Ends all access at once; URLs answer 403 from then on. False: nothing was granted. */
  revoke(id: ContentId): Promise<boolean>
  /** Live grants on contents of one family, for the limit of five. */
  liveGrants(familyId: string): Promise<readonly ContentId[]>
}

/** The raw file behind a disk is not what the disk is: gone, or of another length. Names the file and what to do. */
export class DiskImageError extends Error {
  override readonly name = 'DiskImageError'
}
