import { randomUUID } from 'node:crypto'
import type * as v from 'valibot'
import { ArmError, conflict, invalidParameter, operationNotAllowed, propertyChangeNotAllowed } from './arm-error.ts'
import { type ArmReply, type ArmRequest, param } from './arm-request.ts'
import { extraOf, snapshotBodySchema } from './disk-body.ts'
import { copySizeBytes, findSource, type Source, sourceBytes } from './disk-source.ts'
import { type EmulatorContext, timestamp } from './emulator-context.ts'
import { requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { requireIdle } from './provisioning.ts'
import type { DiskRecord, JsonObject, SnapshotRecord } from './records.ts'
import { normalLocation, requireLocation } from './regions.ts'
import { parseBody } from './request-body.ts'
import { requireResourceName } from './resource-names.ts'
import { updateSnapshot } from './snapshot-update.ts'
import { acceptedSnapshot, viewOfSnapshot } from './snapshot-view.ts'

type SnapshotBody = v.InferOutput<typeof snapshotBodySchema>

const gib = 2 ** 30
const burstWindowMs = 5 * 60_000
const burstMax = 7

/** PUT of a snapshot: a copy of a disk (incremental or full), of a snapshot (full), or an empty one. */
export const createOrUpdateSnapshot = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  requireResourceName(param(request, 'snapshotName'), 'snapshotName')
  requireLocation(request.body, 'Microsoft.Compute/snapshots')
  const body = parseBody(snapshotBodySchema, request.body)
  const id = requestedId(request, 'snapshots', 'snapshotName')
  const existing = context.state.get('snapshots', id)
  if (existing !== null) {
    refuseOtherOrigin(existing, body)
    return updateSnapshot(context, request, existing, { tags: body.tags, sku: body.sku })
  }
  const { snapshot, input } = newSnapshot(context, request, id, body)
  const operation = context.state.transaction(() => {
    context.state.put('snapshots', snapshot)
    return context.operations.begin(request, {
      action: 'createSnapshot',
      service: 'disk',
      subscriptionId: param(request, 'subscriptionId'),
      location: snapshot.location,
      resourceId: id,
      input,
    })
  })
  return accepted(context, request, operation, { status: 202, location: true, body: acceptedSnapshot(snapshot) })
}

const refuseOtherOrigin = (existing: SnapshotRecord, body: SnapshotBody): void => {
  requireIdle('snapshots', existing)
  if (normalLocation(body.location) !== existing.location) throw propertyChangeNotAllowed('location')
  if ((body.properties.incremental ?? false) !== existing.incremental)
    throw propertyChangeNotAllowed('properties.incremental')
  for (const [name, value] of Object.entries(body.properties.creationData))
    if (existing.creationData[name] !== value) throw propertyChangeNotAllowed(`properties.creationData.${name}`)
}

interface SnapshotInput extends JsonObject {
  readonly how: 'incremental' | 'copy' | 'empty'
  readonly sourceContentId?: string
  readonly sizeBytes: number
}

const newSnapshot = (
  context: EmulatorContext,
  request: ArmRequest,
  id: string,
  body: SnapshotBody,
): { snapshot: SnapshotRecord; input: SnapshotInput } => {
  const { creationData, incremental = false, ...properties } = body.properties
  const location = normalLocation(body.location)
  const source = sourceOf(context, body, location)
  const sizeBytes =
    source === null ? (properties.diskSizeGB ?? 1) * gib : copySizeBytes(sourceBytes(source), properties.diskSizeGB)
  if (incremental) refuseTooMany(context, source, sizeBytes)
  const uniqueId = randomUUID()
  const osType = properties.osType ?? source?.osType
  const hyperVGeneration = properties.hyperVGeneration ?? source?.hyperVGeneration
  const snapshot: SnapshotRecord = {
    id,
    name: param(request, 'snapshotName'),
    location,
    ...(body.tags === undefined ? {} : { tags: body.tags }),
    timeCreated: timestamp(context.nowMs()),
    provisioningState: 'Updating',
    contentId: `snapshot-${uniqueId}`,
    familyId: '',
    networkAccessPolicy: properties.networkAccessPolicy ?? 'AllowAll',
    publicNetworkAccess: properties.publicNetworkAccess ?? 'Enabled',
    uniqueId,
    sku: body.sku?.name ?? 'Standard_LRS',
    sizeBytes,
    incremental,
    creationData: {
      ...creationData,
      ...(source !== null && 'uniqueId' in source ? { sourceUniqueId: source.uniqueId } : {}),
    },
    ...(osType === undefined ? {} : { osType }),
    ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
    extra: extraOf(properties),
  }
  const how = source === null ? 'empty' : incremental ? 'incremental' : 'copy'
  return { snapshot, input: { how, sizeBytes, ...(source === null ? {} : { sourceContentId: source.contentId }) } }
}

const sourceOf = (context: EmulatorContext, body: SnapshotBody, location: string): Source | null => {
  const { creationData, incremental, diskSizeGB } = body.properties
  if (creationData.createOption === 'Empty') {
    if (incremental === true)
      throw invalidParameter('properties.incremental', 'An empty snapshot cannot be incremental.')
    if (diskSizeGB === undefined)
      throw invalidParameter('properties.diskSizeGB', "Required parameter 'properties.diskSizeGB' is missing (null).")
    return null
  }
  if (creationData.createOption !== 'Copy')
    throw invalidParameter('properties.creationData.createOption', 'A snapshot here is made by Copy or Empty.')
  return findSource(context, 'Copy', creationData.sourceResourceId, location)
}

/** Incremental snapshots: only of a disk, whole, 500 of a disk, and with spacing on 7 in 5 minutes (restrictions page). */
const refuseTooMany = (context: EmulatorContext, source: Source | null, sizeBytes: number): void => {
  if (source === null || !isDisk(source))
    throw invalidParameter('properties.creationData.sourceResourceId', 'An incremental snapshot is made of a disk.')
  if (sizeBytes !== source.sizeBytes)
    throw invalidParameter('properties.diskSizeGB', 'An incremental snapshot has the size of its disk.')
  const siblings = context.state
    .list('snapshots', '/subscriptions/')
    .filter((other) => other.incremental && other.creationData.sourceUniqueId === source.uniqueId)
  const { snapshotsPerDiskMax, spacing } = context.settings()
  if (siblings.length >= snapshotsPerDiskMax)
    throw operationNotAllowed(`Disk '${source.name}' already has ${siblings.length} incremental snapshots.`)
  const recent = siblings
    .map((other) => Date.parse(other.timeCreated))
    .filter((time) => context.nowMs() - time < burstWindowMs)
  if (spacing && recent.length >= burstMax)
    throw new ArmError({
      status: 429,
      code: 'TooManyRequests',
      message: `${burstMax} incremental snapshots of disk '${source.name}' were made in the last 5 minutes.`,
      headers: { 'Retry-After': String(Math.ceil((Math.min(...recent) + burstWindowMs - context.nowMs()) / 1000)) },
    })
}

const isDisk = (source: Source): source is DiskRecord => 'uploading' in source

/** Takes the snapshot's bytes; a second run takes them afresh. */
export const createSnapshotAction: OperationAction = {
  work: async (context, operation) => {
    const snapshot = context.state.get('snapshots', operation.resourceId)
    if (snapshot === null) throw conflict('The snapshot was removed while it was being made.')
    const { how, sourceContentId, sizeBytes } = operation.input as SnapshotInput
    const { contentId } = snapshot
    if ((await context.disks.describe(contentId)) !== null) await context.disks.remove(contentId)
    if (how === 'empty') await context.disks.createEmpty(contentId, sizeBytes)
    else if (how === 'copy') await context.disks.copy(String(sourceContentId), contentId, 'snapshot', sizeBytes)
    else await context.disks.snapshot(String(sourceContentId), contentId)
    const content = await context.disks.describe(contentId)
    return { familyId: content?.familyId, sizeBytes: content?.sizeBytes }
  },
  settle: (context, operation, result) => {
    const snapshot = context.state.get('snapshots', operation.resourceId)
    if (snapshot === null) return undefined
    const made: SnapshotRecord = {
      ...snapshot,
      provisioningState: 'Succeeded',
      familyId: String(result?.familyId),
      sizeBytes: Number(result?.sizeBytes),
    }
    context.state.put('snapshots', made)
    return viewOfSnapshot(context, made)
  },
  undo: (context, operation) => context.state.remove('snapshots', operation.resourceId),
}
