import { accessIsLive } from './access-state.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { SnapshotRecord } from './records.ts'
import { sizeInGb } from './virtual-machine-view.ts'

/** A snapshot as GET and lists answer it. Standard and Premium disks have no background copy: always 100 percent. */
export const viewOfSnapshot = (context: EmulatorContext, snapshot: SnapshotRecord): Record<string, unknown> => ({
  name: snapshot.name,
  id: snapshot.id,
  type: 'Microsoft.Compute/snapshots',
  location: snapshot.location,
  ...(snapshot.tags === undefined ? {} : { tags: snapshot.tags }),
  sku: { name: snapshot.sku, tier: snapshot.sku.split('_')[0] },
  properties: {
    ...commonProperties(snapshot),
    diskSizeGB: sizeInGb(snapshot.sizeBytes),
    encryption: snapshot.extra.encryption ?? { type: 'EncryptionAtRestWithPlatformKey' },
    networkAccessPolicy: snapshot.networkAccessPolicy,
    publicNetworkAccess: snapshot.publicNetworkAccess,
    timeCreated: snapshot.timeCreated,
    provisioningState: snapshot.provisioningState,
    diskState: accessIsLive(context, snapshot) ? 'ActiveSAS' : 'Unattached',
    diskSizeBytes: snapshot.sizeBytes,
    uniqueId: snapshot.uniqueId,
    ...(snapshot.incremental && snapshot.familyId !== '' ? { incrementalSnapshotFamilyId: snapshot.familyId } : {}),
    ...(snapshot.provisioningState === 'Succeeded' ? { completionPercent: 100, snapshotAccessState: 'Available' } : {}),
  },
})

/** The body of an accepted PUT. */
export const acceptedSnapshot = (snapshot: SnapshotRecord): Record<string, unknown> => ({
  name: snapshot.name,
  id: snapshot.id,
  type: 'Microsoft.Compute/snapshots',
  location: snapshot.location,
  ...(snapshot.tags === undefined ? {} : { tags: snapshot.tags }),
  sku: { name: snapshot.sku },
  properties: { ...commonProperties(snapshot), provisioningState: 'Updating' },
})

const commonProperties = (snapshot: SnapshotRecord): Record<string, unknown> => ({
  ...(snapshot.osType === undefined ? {} : { osType: snapshot.osType }),
  ...(snapshot.hyperVGeneration === undefined ? {} : { hyperVGeneration: snapshot.hyperVGeneration }),
  creationData: snapshot.creationData,
  ...snapshot.extra,
  incremental: snapshot.incremental,
})
