import type { EmulatorContext } from './emulator-context.ts'
import type { DiskRecord, ReadableRecord } from './records.ts'

/** Whether a SAS of the resource is live now; one whose time has passed is not, even when nobody revoked it. */
export const accessIsLive = (context: EmulatorContext, record: ReadableRecord): boolean =>
  record.access !== undefined && record.access.expiresAtMs > context.nowMs()

/** diskState of a disk: attachment, upload and access decide (DiskState of the specification). */
export const diskStateOf = (context: EmulatorContext, disk: DiskRecord): string => {
  if (disk.uploading) return accessIsLive(context, disk) ? 'ActiveUpload' : 'ReadyToUpload'
  if (accessIsLive(context, disk)) return 'ActiveSAS'
  if (disk.managedBy === undefined) return 'Unattached'
  return context.state.get('virtualMachines', disk.managedBy)?.powerState === 'deallocated' ? 'Reserved' : 'Attached'
}

/** Snapshots and disk restore points of one family whose SAS is live. */
export const liveInFamily = (context: EmulatorContext, familyId: string): ReadableRecord[] =>
  [
    ...context.state.listBy('snapshots', 'familyId', familyId),
    ...context.state.listBy('diskRestorePoints', 'familyId', familyId),
  ].filter((record) => accessIsLive(context, record))
