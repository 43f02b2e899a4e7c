/** The readable source of one disk's transfer: an immutable copy of the disk that the platform keeps. Plain data, no secret. */
export interface DiskSource {
  readonly kind: 'diskRestorePoint' | 'diskSnapshot'
  /** ARM id of the disk restore point or snapshot. */
  readonly resourceId: string
  /** Two sources can be compared by the platform only within one family; null where the platform names none. */
  readonly familyId: string | null
  /** The managed disk's unique id; it changes when a disk is made anew under the same name. */
  readonly sourceUniqueId: string
}
