import { diskRestorePointSegments } from './access.ts'
import { type ArmReply, type ArmRequest, inGroup, type Route } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord, requestedId } from './find-record.ts'
import { pageOf } from './paging.ts'
import type { DiskRestorePointRecord } from './records.ts'

/** A disk restore point as the disk service answers it. It has no size: that is read from its SAS. */
const viewOfDiskRestorePoint = (disk: DiskRestorePointRecord): Record<string, unknown> => ({
  id: disk.id,
  name: disk.name,
  type: 'Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints',
  properties: {
    timeCreated: disk.timeCreated,
    sourceResourceId: disk.sourceDiskId,
    ...(disk.osType === undefined ? {} : { osType: disk.osType }),
    ...(disk.hyperVGeneration === undefined ? {} : { hyperVGeneration: disk.hyperVGeneration }),
    familyId: disk.familyId,
    sourceUniqueId: disk.sourceUniqueId,
    encryption: { type: 'EncryptionAtRestWithPlatformKey' },
    networkAccessPolicy: disk.networkAccessPolicy,
    publicNetworkAccess: disk.publicNetworkAccess,
    completionPercent: 100,
    replicationState: 'Succeeded',
    sourceResourceLocation: disk.location,
    logicalSectorSize: 512,
    snapshotAccessState: 'Available',
  },
})

const getDiskRestorePoint = (context: EmulatorContext, request: ArmRequest): ArmReply => ({
  status: 200,
  body: viewOfDiskRestorePoint(
    findRecord(context, 'diskRestorePoints', requestedId(request, ...diskRestorePointSegments)),
  ),
})

const listByRestorePoint = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const point = findRecord(context, 'restorePoints', requestedId(request, ...diskRestorePointSegments.slice(0, 4)))
  const disks = context.state.list('diskRestorePoints', `${point.id}/diskRestorePoints/`)
  return pageOf(context, request, disks, viewOfDiskRestorePoint)
}

const folder =
  'restorePointCollections/{restorePointCollectionName}/restorePoints/{vmRestorePointName}/diskRestorePoints'

/** Disk restore points: get and list; access is in access.ts. */
export const diskRestorePointRoutes: readonly Route[] = [
  {
    operation: 'DiskRestorePoint_ListByRestorePoint',
    method: 'GET',
    path: inGroup(folder),
    service: 'disk',
    handle: listByRestorePoint,
  },
  {
    operation: 'DiskRestorePoint_Get',
    method: 'GET',
    path: inGroup(`${folder}/{diskRestorePointName}`),
    service: 'disk',
    handle: getDiskRestorePoint,
  },
]
