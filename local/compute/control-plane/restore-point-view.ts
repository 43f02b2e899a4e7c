import type { EmulatorContext } from './emulator-context.ts'
import type { JsonObject, RestorePointRecord, VmRecord } from './records.ts'
import { osProfile, storageProfile } from './virtual-machine-view.ts'

interface DiskEntry extends JsonObject {
  readonly managedDisk: { readonly id: string }
}

/** What a restore point remembers of its VM, taken at the moment of its creation. */
export const sourceMetadataOf = (context: EmulatorContext, vm: VmRecord, excluded: ReadonlySet<string>): JsonObject => {
  const { osDisk, dataDisks } = storageProfile(context, vm) as { osDisk: DiskEntry; dataDisks: readonly DiskEntry[] }
  const taken = (entry: DiskEntry): boolean => !excluded.has(entry.managedDisk.id.toLowerCase())
  return {
    vmId: vm.vmId,
    location: vm.location,
    hardwareProfile: { vmSize: vm.vmSize },
    storageProfile: {
      ...(taken(osDisk) ? { osDisk: metadataDisk(osDisk) } : {}),
      dataDisks: dataDisks.filter(taken).map(metadataDisk),
    },
    osProfile: osProfile(vm),
    hyperVGeneration: vm.hyperVGeneration,
    ...(vm.userData === undefined ? {} : { userData: vm.userData }),
  }
}

const metadataDisk = (entry: DiskEntry): JsonObject => {
  const { createOption: _, deleteOption: __, toBeDetached: ___, ...kept } = entry
  return kept
}

/** A restore point as GET and PUT answer it: diskRestorePoint ids and consistencyMode come only once it has Succeeded. */
export const viewOfRestorePoint = (point: RestorePointRecord, instanceView?: unknown): Record<string, unknown> => ({
  name: point.name,
  id: point.id,
  type: 'Microsoft.Compute/restorePointCollections/restorePoints',
  properties: {
    ...(point.excludeDisks.length === 0 ? {} : { excludeDisks: point.excludeDisks.map((id) => ({ id })) }),
    sourceMetadata: withDiskRestorePoints(point),
    provisioningState: point.provisioningState,
    ...(point.consistencyMode === undefined ? {} : { consistencyMode: point.consistencyMode }),
    timeCreated: point.timeCreated,
    ...(instanceView === undefined ? {} : { instanceView }),
  },
})

const withDiskRestorePoints = (point: RestorePointRecord): JsonObject => {
  const profile = point.sourceMetadata.storageProfile as {
    readonly osDisk?: DiskEntry
    readonly dataDisks: readonly DiskEntry[]
  }
  const filled = (entry: DiskEntry): JsonObject => {
    const id = point.diskRestorePoints[entry.managedDisk.id.toLowerCase()]
    return id === undefined
      ? entry
      : { ...entry, diskRestorePoint: { id, encryption: { type: 'EncryptionAtRestWithPlatformKey' } } }
  }
  return {
    ...point.sourceMetadata,
    storageProfile: {
      ...(profile.osDisk === undefined ? {} : { osDisk: filled(profile.osDisk) }),
      dataDisks: profile.dataDisks.map(filled),
    },
  }
}

/** $expand=instanceView: how far each disk restore point is. Within a region they are complete with the point. */
export const instanceViewOfPoint = (point: RestorePointRecord): Record<string, unknown> => {
  const succeeded = { code: 'ReplicationState/succeeded', level: 'Info', displayStatus: 'Succeeded' }
  return {
    diskRestorePoints: Object.values(point.diskRestorePoints).map((id) => ({
      id,
      replicationStatus: { status: succeeded, completionPercent: 100 },
      snapshotAccessState: 'Available',
    })),
    statuses: point.provisioningState === 'Succeeded' ? [succeeded] : [],
  }
}
