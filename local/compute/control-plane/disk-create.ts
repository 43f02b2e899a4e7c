import { randomUUID } from 'node:crypto'
import { conflict, invalidParameter, propertyChangeNotAllowed } from './arm-error.ts'
import { type ArmReply, type ArmRequest, param } from './arm-request.ts'
import { diskBodySchema, extraOf, uploadBytes } from './disk-body.ts'
import { copySizeBytes, findSource, type Source, sourceBytes } from './disk-source.ts'
import { updateDisk } from './disk-update.ts'
import { acceptedDisk, viewOfDisk } from './disk-view.ts'
import { type EmulatorContext, timestamp } from './emulator-context.ts'
import { requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { requireIdle } from './provisioning.ts'
import type { DiskRecord, JsonObject, OperationRecord } from './records.ts'
import { normalLocation, requireLocation } from './regions.ts'
import { parseBody } from './request-body.ts'
import { requireDiskName } from './resource-names.ts'

const gib = 2 ** 30

type CreateOption = 'Empty' | 'Upload' | 'Copy' | 'Restore'
type DiskBody = ReturnType<typeof parseDiskBody>

const parseDiskBody = (body: unknown) => parseBody(diskBodySchema, body)

/** PUT of a disk: makes one, or changes one that exists where only tags, size or settings differ. */
export const createOrUpdateDisk = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  requireDiskName(param(request, 'diskName'))
  requireLocation(request.body, 'Microsoft.Compute/disks')
  const body = parseDiskBody(request.body)
  const id = requestedId(request, 'disks', 'diskName')
  const existing = context.state.get('disks', id)
  if (existing !== null) {
    refuseOtherOrigin(existing, body)
    const { creationData: _, ...properties } = body.properties
    return updateDisk(context, request, existing, {
      tags: body.tags,
      sku: body.sku,
      properties,
    })
  }
  const { disk, input } = newDisk(context, request, id, body)
  const operation = context.state.transaction(() => {
    context.state.put('disks', disk)
    return context.operations.begin(request, {
      action: 'createDisk',
      service: 'disk',
      subscriptionId: param(request, 'subscriptionId'),
      location: disk.location,
      resourceId: id,
      input,
    })
  })
  return accepted(context, request, operation, {
    status: 202,
    location: true,
    body: acceptedDisk(disk, body.properties.diskSizeGB),
  })
}

const refuseOtherOrigin = (existing: DiskRecord, body: DiskBody): void => {
  requireIdle('disks', existing)
  if (normalLocation(body.location) !== existing.location) throw propertyChangeNotAllowed('location')
  for (const [name, value] of Object.entries(body.properties.creationData))
    if (existing.creationData[name] !== value) throw propertyChangeNotAllowed(`properties.creationData.${name}`)
}

interface CreateInput extends JsonObject {
  readonly createOption: CreateOption
  readonly sourceContentId?: string
  readonly sizeBytes: number
}

const newDisk = (
  context: EmulatorContext,
  request: ArmRequest,
  id: string,
  body: DiskBody,
): { disk: DiskRecord; input: CreateInput } => {
  const { creationData, ...properties } = body.properties
  const { createOption } = creationData
  const location = normalLocation(body.location)
  const source =
    createOption === 'Copy' || createOption === 'Restore'
      ? findSource(context, createOption, creationData.sourceResourceId, location)
      : null
  const sizeBytes = newSizeBytes(createOption, source, creationData.uploadSizeBytes, properties.diskSizeGB)
  const uniqueId = randomUUID()
  const osType = properties.osType ?? source?.osType
  const hyperVGeneration = properties.hyperVGeneration ?? source?.hyperVGeneration
  const disk: DiskRecord = {
    id,
    name: param(request, 'diskName'),
    location,
    ...(body.tags === undefined ? {} : { tags: body.tags }),
    timeCreated: timestamp(context.nowMs()),
    provisioningState: 'Updating',
    contentId: `disk-${uniqueId}`,
    familyId: '',
    networkAccessPolicy: properties.networkAccessPolicy ?? 'AllowAll',
    publicNetworkAccess: properties.publicNetworkAccess ?? 'Enabled',
    uniqueId,
    sku: body.sku?.name ?? 'Standard_LRS',
    creationData: { ...creationData, ...(source === null ? {} : { sourceUniqueId: uniqueIdOf(source) }) },
    uploading: createOption === 'Upload',
    ...(osType === undefined ? {} : { osType }),
    ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
    extra: extraOf(properties),
  }
  return {
    disk,
    input: { createOption, sizeBytes, ...(source === null ? {} : { sourceContentId: source.contentId }) },
  }
}

const uniqueIdOf = (source: Source): string => ('uniqueId' in source ? source.uniqueId : source.sourceUniqueId)

const newSizeBytes = (
  createOption: CreateOption,
  source: Source | null,
  uploadSizeBytes: number | undefined,
  diskSizeGb: number | undefined,
): number => {
  if (createOption === 'Upload') {
    if (diskSizeGb !== undefined)
      throw invalidParameter('properties.diskSizeGB', 'An upload disk takes its size from uploadSizeBytes.')
    return uploadBytes(uploadSizeBytes)
  }
  if (source !== null) return copySizeBytes(sourceBytes(source), diskSizeGb)
  if (diskSizeGb === undefined)
    throw invalidParameter('properties.diskSizeGB', "Required parameter 'properties.diskSizeGB' is missing (null).")
  return diskSizeGb * gib
}

/** Makes the bytes of a new disk; a second run begins by removing what the first one left. */
export const createDiskAction: OperationAction = {
  work: async (context, operation) => {
    const contentId = contentOf(context, operation)
    const input = operation.input as CreateInput
    if ((await context.disks.describe(contentId)) !== null) await context.disks.remove(contentId)
    const content = await makeContent(context, contentId, input)
    return { familyId: content.familyId }
  },
  settle: (context, operation, result) => {
    const disk = context.state.get('disks', operation.resourceId)
    if (disk === null) return undefined
    const made: DiskRecord = {
      ...disk,
      provisioningState: 'Succeeded',
      familyId: String(result?.familyId),
      sizeBytes: (operation.input as CreateInput).sizeBytes,
    }
    context.state.put('disks', made)
    return viewOfDisk(context, made)
  },
  undo: (context, operation) => context.state.remove('disks', operation.resourceId),
}

const contentOf = (context: EmulatorContext, operation: OperationRecord): string => {
  const disk = context.state.get('disks', operation.resourceId)
  if (disk === null) throw conflict('The disk was removed while it was being made.')
  return disk.contentId
}

const makeContent = (context: EmulatorContext, contentId: string, input: CreateInput) => {
  if (input.createOption === 'Empty') return context.disks.createEmpty(contentId, input.sizeBytes)
  if (input.createOption === 'Upload') return context.disks.createUpload(contentId, input.sizeBytes)
  return context.disks.copy(String(input.sourceContentId), contentId, 'disk', input.sizeBytes)
}
