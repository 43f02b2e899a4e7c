import { diskStateOf } from './access-state.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { DiskRecord } from './records.ts'
import { sizeInGb } from './virtual-machine-view.ts'

/** A disk as GET and lists answer it. One that waits for its upload has no size. */
export const viewOfDisk = (context: EmulatorContext, disk: DiskRecord): Record<string, unknown> => ({
  name: disk.name,
  id: disk.id,
  type: 'Microsoft.Compute/disks',
  location: disk.location,
  ...(disk.tags === undefined ? {} : { tags: disk.tags }),
  ...(disk.managedBy === undefined ? {} : { managedBy: disk.managedBy }),
  sku: { name: disk.sku, tier: disk.sku.split('_')[0] },
  properties: {
    ...(disk.osType === undefined ? {} : { osType: disk.osType }),
    ...(disk.hyperVGeneration === undefined ? {} : { hyperVGeneration: disk.hyperVGeneration }),
    creationData: disk.creationData,
    ...disk.extra,
    ...sizeOf(disk),
    encryption: disk.extra.encryption ?? { type: 'EncryptionAtRestWithPlatformKey' },
    networkAccessPolicy: disk.networkAccessPolicy,
    publicNetworkAccess: disk.publicNetworkAccess,
    timeCreated: disk.timeCreated,
    provisioningState: disk.provisioningState,
    diskState: diskStateOf(context, disk),
    uniqueId: disk.uniqueId,
  },
})

const sizeOf = (disk: DiskRecord): Record<string, unknown> =>
  disk.uploading || disk.sizeBytes === undefined
    ? {}
    : { diskSizeGB: sizeInGb(disk.sizeBytes), diskSizeBytes: disk.sizeBytes }

/** The body of an accepted PUT: what was asked for, and Updating; no ids and sizes yet. */
export const acceptedDisk = (disk: DiskRecord, diskSizeGb: number | undefined): Record<string, unknown> => ({
  name: disk.name,
  id: disk.id,
  type: 'Microsoft.Compute/disks',
  location: disk.location,
  ...(disk.tags === undefined ? {} : { tags: disk.tags }),
  sku: { name: disk.sku },
  properties: {
    ...(disk.osType === undefined ? {} : { osType: disk.osType }),
    ...(disk.hyperVGeneration === undefined ? {} : { hyperVGeneration: disk.hyperVGeneration }),
    creationData: disk.creationData,
    ...disk.extra,
    ...(diskSizeGb === undefined ? {} : { diskSizeGB: diskSizeGb }),
    provisioningState: 'Updating',
  },
})
