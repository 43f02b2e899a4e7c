/** True once the bytes of a snapshot or disk restore point can be read. While it is copied in the background (`completionPercent`
 * below 100; states Pending, and InstantAccess, which can be restored but not downloaded), a read fails. Kinds of disks without a
 * background copy name no state. (Azure documentation: instant access snapshots; incremental snapshots of Premium SSD v2.) */
export const isReadable = (source: {
  readonly completionPercent?: number
  readonly snapshotAccessState?: string
}): boolean =>
  (source.completionPercent ?? 100) >= 100 &&
  !['Pending', 'InstantAccess'].includes(source.snapshotAccessState ?? 'Available')
