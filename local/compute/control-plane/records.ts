import type { ContentId } from '../disks/disk-store.ts'

export type JsonObject = { readonly [name: string]: unknown }

/** What every stored resource has; ids keep the case of their creation. */
interface ResourceRecord {
  readonly id: string
  readonly name: string
  readonly location: string
  readonly tags?: Readonly<Record<string, string>>
  readonly timeCreated: string
  readonly provisioningState: ProvisioningState
}

export type ProvisioningState = 'Creating' | 'Updating' | 'Deleting' | 'Succeeded' | 'Failed'

export type OsType = 'Linux' | 'Windows'

export type PowerState = 'starting' | 'running' | 'stopping' | 'stopped' | 'deallocating' | 'deallocated'

export type ConsistencyMode = 'CrashConsistent' | 'FileSystemConsistent' | 'ApplicationConsistent'

export interface AttachedDisk {
  readonly diskId: string
  readonly caching: 'None' | 'ReadOnly' | 'ReadWrite'
}

export interface VmRecord extends ResourceRecord {
  readonly vmId: string
  readonly osType: OsType
  readonly vmSize: string
  readonly hyperVGeneration: 'V1' | 'V2'
  readonly powerState: PowerState
  readonly osDisk: AttachedDisk
  readonly dataDisks: readonly (AttachedDisk & { readonly lun: number })[]
  readonly imageReference?: JsonObject
  readonly plan?: JsonObject
  readonly userData?: string
  /** Digest of the VM's entry in the fleet file; absent where the VM was made over the API. */
  readonly fleetDigest?: string
  /** Restore points still to come that VSS, having failed once, lets fall back to the file system. */
  readonly vssFallbacksLeft?: number
}

/** A live or just granted access; the URL itself is kept by the disk store only. */
export interface AccessRecord {
  readonly level: 'Read' | 'Write'
  readonly expiresAtMs: number
}

/** What disks, snapshots and disk restore points share: they can be opened by a SAS. */
export interface ReadableRecord extends ResourceRecord {
  readonly contentId: ContentId
  readonly familyId: string
  readonly access?: AccessRecord
  readonly networkAccessPolicy: string
  readonly publicNetworkAccess: string
}

export interface DiskRecord extends ReadableRecord {
  readonly uniqueId: string
  readonly sku: string
  /** Bytes without footer; absent while the disk waits for its upload. */
  readonly sizeBytes?: number
  readonly managedBy?: string
  readonly creationData: JsonObject
  readonly uploading: boolean
  readonly osType?: OsType
  readonly hyperVGeneration?: 'V1' | 'V2'
  /** Properties that the emulator keeps and gives back without giving them a meaning. */
  readonly extra: JsonObject
  readonly fleetImagePath?: string
}

export interface SnapshotRecord extends ReadableRecord {
  readonly uniqueId: string
  readonly sku: string
  readonly sizeBytes: number
  readonly incremental: boolean
  readonly creationData: JsonObject
  readonly osType?: OsType
  readonly hyperVGeneration?: 'V1' | 'V2'
  readonly extra: JsonObject
}

export interface CollectionRecord extends ResourceRecord {
  readonly collectionId: string
  readonly sourceVmId: string
  readonly sourceLocation: string
}

export interface RestorePointRecord extends ResourceRecord {
  readonly sourceVmId: string
  readonly excludeDisks: readonly string[]
  /** As asked for; the mode that resulted is `consistencyMode`, known once the point has Succeeded. */
  readonly requestedMode?: ConsistencyMode
  readonly consistencyMode?: ConsistencyMode
  readonly sourceMetadata: JsonObject
  /** Disk restore points by ARM id of their disk; empty until the point has Succeeded. */
  readonly diskRestorePoints: Readonly<Record<string, string>>
}

export interface DiskRestorePointRecord extends ReadableRecord {
  readonly sourceDiskId: string
  readonly sourceUniqueId: string
  readonly sizeBytes: number
  readonly osType?: OsType
  readonly hyperVGeneration?: 'V1' | 'V2'
}

export interface RecordKinds {
  readonly virtualMachines: VmRecord
  readonly disks: DiskRecord
  readonly snapshots: SnapshotRecord
  readonly restorePointCollections: CollectionRecord
  readonly restorePoints: RestorePointRecord
  readonly diskRestorePoints: DiskRestorePointRecord
}

export type RecordKind = keyof RecordKinds
export type ReadableKind = 'disks' | 'snapshots' | 'diskRestorePoints'

/** A long-running operation as it is stored: what to do, and how it ended. */
export interface OperationRecord {
  readonly id: string
  /** Names one of the actions that the emulator can take up again after a restart. */
  readonly action: string
  /** Which service answers for it; decides the path and shape of the status. */
  readonly service: 'compute' | 'disk'
  readonly subscriptionId: string
  readonly location: string
  readonly resourceId: string
  readonly input: JsonObject
  readonly startTime: string
  readonly durationMs: number
  readonly endTime?: string
  readonly status: 'InProgress' | 'Succeeded' | 'Failed'
  /** What the status shows as `properties.output`; of a grant it is `{accessSAS}`, so the state file is private. */
  readonly output?: JsonObject
  readonly error?: { readonly code: string; readonly message: string }
  /** Set by a fault: the operation will end so, whatever it could have done. */
  readonly failWith?: { readonly code: string; readonly message: string }
}
