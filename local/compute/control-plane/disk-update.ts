import type * as v from 'valibot'
import { accessIsLive } from './access-state.ts'
import { badRequest, conflict } from './arm-error.ts'
import { type ArmReply, type ArmRequest, param } from './arm-request.ts'
import { type diskPatchSchema, extraOf } from './disk-body.ts'
import { acceptedDisk, viewOfDisk } from './disk-view.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { markFailed, requireIdle } from './provisioning.ts'
import type { DiskRecord, JsonObject } from './records.ts'
import { sizeInGb } from './virtual-machine-view.ts'

const gib = 2 ** 30

/** A patch after parsing; a PUT on an existing disk comes down to one too. */
export type DiskPatch = {
  [K in keyof v.InferOutput<typeof diskPatchSchema>]: v.InferOutput<typeof diskPatchSchema>[K] | undefined
}

/** Accepts a change of tags, SKU, settings or size. A disk never shrinks.
 * @throws ArmError 400 for a smaller size, 409 while another operation runs, during an upload, or with a live SAS */
export const updateDisk = (
  context: EmulatorContext,
  request: ArmRequest,
  disk: DiskRecord,
  patch: DiskPatch,
): ArmReply => {
  requireIdle('disks', disk)
  const properties = patch.properties ?? {}
  const sizeBytes = grownBytes(context, disk, properties.diskSizeGB)
  const changed = changedDisk(disk, patch)
  const operation = context.state.transaction(() => {
    context.state.put('disks', { ...disk, provisioningState: 'Updating' })
    return context.operations.begin(request, {
      action: 'updateDisk',
      service: 'disk',
      subscriptionId: param(request, 'subscriptionId'),
      location: disk.location,
      resourceId: disk.id,
      input: { changed, ...(sizeBytes === null ? {} : { sizeBytes }) },
    })
  })
  return accepted(context, request, operation, {
    status: 202,
    location: true,
    body: acceptedDisk({ ...disk, ...changed }, properties.diskSizeGB),
  })
}

const grownBytes = (context: EmulatorContext, disk: DiskRecord, diskSizeGb: number | undefined): number | null => {
  if (diskSizeGb === undefined || disk.sizeBytes === undefined || diskSizeGb === sizeInGb(disk.sizeBytes)) return null
  if (disk.uploading) throw conflict(`Disk '${disk.name}' waits for its upload: end it with endGetAccess first.`)
  if (diskSizeGb * gib < disk.sizeBytes)
    throw badRequest(`Disk '${disk.name}' cannot be reduced from ${sizeInGb(disk.sizeBytes)} GB to ${diskSizeGb} GB.`)
  if (accessIsLive(context, disk))
    throw conflict(`Disk '${disk.name}' has an active shared access signature and cannot be resized.`)
  return diskSizeGb * gib
}

const changedDisk = (disk: DiskRecord, patch: DiskPatch): Partial<DiskRecord> => {
  const properties = patch.properties ?? {}
  return {
    ...(patch.tags === undefined ? {} : { tags: patch.tags }),
    ...(patch.sku === undefined ? {} : { sku: patch.sku.name }),
    ...(properties.osType === undefined ? {} : { osType: properties.osType }),
    ...(properties.hyperVGeneration === undefined ? {} : { hyperVGeneration: properties.hyperVGeneration }),
    ...(properties.networkAccessPolicy === undefined ? {} : { networkAccessPolicy: properties.networkAccessPolicy }),
    ...(properties.publicNetworkAccess === undefined ? {} : { publicNetworkAccess: properties.publicNetworkAccess }),
    extra: { ...disk.extra, ...extraOf(properties) },
  }
}

interface UpdateInput extends JsonObject {
  readonly changed: Partial<DiskRecord>
  readonly sizeBytes?: number
}

/** Applies the accepted change; growing twice to one size is harmless. */
export const updateDiskAction: OperationAction = {
  work: async (context, operation) => {
    const { sizeBytes } = operation.input as unknown as UpdateInput
    const disk = context.state.get('disks', operation.resourceId)
    if (disk !== null && sizeBytes !== undefined) await context.disks.resize(disk.contentId, sizeBytes)
    return undefined
  },
  settle: (context, operation) => {
    const { changed, sizeBytes } = operation.input as unknown as UpdateInput
    const disk = context.state.get('disks', operation.resourceId)
    if (disk === null) return undefined
    const made: DiskRecord = {
      ...disk,
      ...changed,
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      provisioningState: 'Succeeded',
    }
    context.state.put('disks', made)
    return viewOfDisk(context, made)
  },
  undo: markFailed('disks'),
}
