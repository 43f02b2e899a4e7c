import { conflict } from './arm-error.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { OperationAction } from './operations.ts'
import { markFailed } from './provisioning.ts'
import type { ConsistencyMode, DiskRestorePointRecord, OperationRecord, RestorePointRecord } from './records.ts'
import type { PlannedDisk } from './restore-point-create.ts'

/** After one failure of VSS, the next three attempts fall back to the file system (VMSnapshot extension page). */
const vssFallbacks = 3

/** Snapshots every disk of the point, one after the other without a pause. A run after a kill removes what the first one
 * left and takes all disks again, so that the point is of one moment. */
export const createRestorePointAction: OperationAction = {
  work: async (context, operation) => {
    const planned = operation.input.disks as readonly PlannedDisk[]
    for (const { contentId } of planned)
      if ((await context.disks.describe(contentId)) !== null) await context.disks.remove(contentId)
    const contents = await Promise.all(
      planned.map(({ diskContentId, contentId }) => context.disks.snapshot(diskContentId, contentId)),
    )
    return { contents: contents.map(({ familyId, sizeBytes }) => ({ familyId, sizeBytes })) }
  },
  settle: (context, operation, result) => {
    const point = context.state.get('restorePoints', operation.resourceId)
    if (point === null) return undefined
    const planned = operation.input.disks as readonly PlannedDisk[]
    const contents = result?.contents as readonly { familyId: string; sizeBytes: number }[]
    const made = planned.map((disk, index) => diskRestorePoint(context, point, disk, contents[index]))
    for (const disk of made) context.state.put('diskRestorePoints', disk)
    context.state.put('restorePoints', {
      ...point,
      provisioningState: 'Succeeded',
      consistencyMode: resultingMode(context, point, operation),
      diskRestorePoints: Object.fromEntries(made.map((disk) => [disk.sourceDiskId.toLowerCase(), disk.id])),
    })
    return undefined
  },
  undo: (context, operation) => {
    const point = context.state.get('restorePoints', operation.resourceId)
    if (point !== null) context.state.put('restorePoints', { ...point, provisioningState: 'Failed' })
    // A failed point has no disk restore points that would name these bytes later.
    for (const { contentId } of operation.input.disks as readonly PlannedDisk[])
      context.disks
        .remove(contentId)
        .catch((error: unknown) => console.error('Bytes of a failed restore point stay:', error))
  },
}

const diskRestorePoint = (
  context: EmulatorContext,
  point: RestorePointRecord,
  planned: PlannedDisk,
  content: { readonly familyId: string; readonly sizeBytes: number } | undefined,
): DiskRestorePointRecord => {
  const disk = context.state.get('disks', planned.diskId)
  if (disk === null || content === undefined)
    throw conflict('A disk was removed while its restore point was being made.')
  return {
    id: `${point.id}/diskRestorePoints/${planned.name}`,
    name: planned.name,
    location: point.location,
    timeCreated: point.timeCreated,
    provisioningState: 'Succeeded',
    contentId: planned.contentId,
    familyId: content.familyId,
    networkAccessPolicy: disk.networkAccessPolicy,
    publicNetworkAccess: disk.publicNetworkAccess,
    sourceDiskId: disk.id,
    sourceUniqueId: disk.uniqueId,
    sizeBytes: content.sizeBytes,
    ...(disk.osType === undefined ? {} : { osType: disk.osType }),
    ...(disk.hyperVGeneration === undefined ? {} : { hyperVGeneration: disk.hyperVGeneration }),
  }
}

/** A running Windows VM gives ApplicationConsistent unless VSS fails, a running Linux VM FileSystemConsistent (recorded);
 * one that does not run gives CrashConsistent (restore points README). */
const resultingMode = (
  context: EmulatorContext,
  point: RestorePointRecord,
  operation: OperationRecord,
): ConsistencyMode => {
  const vm = context.state.get('virtualMachines', point.sourceVmId)
  if (vm === null || vm.powerState !== 'running' || point.requestedMode === 'CrashConsistent') return 'CrashConsistent'
  if (vm.osType === 'Linux') return 'FileSystemConsistent'
  const left = vm.vssFallbacksLeft ?? 0
  if (operation.input.vssWriterFailure === true) {
    context.state.put('virtualMachines', { ...vm, vssFallbacksLeft: vssFallbacks })
    return 'FileSystemConsistent'
  }
  if (left === 0) return 'ApplicationConsistent'
  context.state.put('virtualMachines', { ...vm, vssFallbacksLeft: left - 1 })
  return 'FileSystemConsistent'
}

/** Deletes a restore point and its disk restore points. */
export const deleteRestorePointAction: OperationAction = {
  work: async (context, operation) => {
    const planned = context.state.list('diskRestorePoints', `${operation.resourceId}/diskRestorePoints/`)
    for (const { contentId } of planned) await context.disks.remove(contentId)
    return undefined
  },
  settle: (context, operation) => {
    for (const disk of context.state.list('diskRestorePoints', `${operation.resourceId}/diskRestorePoints/`))
      context.state.remove('diskRestorePoints', disk.id)
    context.state.remove('restorePoints', operation.resourceId)
    return undefined
  },
  undo: markFailed('restorePoints'),
}
