import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { accessIsLive } from './access-state.ts'
import { ArmError, conflict, invalidParameter, propertyChangeNotAllowed } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, inSubscription, param, type Route } from './arm-request.ts'
import { type EmulatorContext, timestamp } from './emulator-context.ts'
import { findRecord, listPrefix, requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { pageOf } from './paging.ts'
import type { CollectionRecord, RestorePointRecord } from './records.ts'
import { normalLocation, requireLocation } from './regions.ts'
import { parseBody, tagsSchema } from './request-body.ts'
import { idKey, parseComputeId } from './resource-ids.ts'
import { requireResourceName } from './resource-names.ts'
import { viewOfRestorePoint } from './restore-point-view.ts'

const bodySchema = v.strictObject({
  location: v.string(),
  tags: v.optional(tagsSchema),
  properties: v.strictObject({ source: v.strictObject({ id: v.string() }) }),
})

const patchSchema = v.strictObject({
  tags: v.optional(tagsSchema),
  properties: v.optional(v.strictObject({ source: v.optional(v.strictObject({ id: v.string() })) })),
})

const collectionIdOf = (request: ArmRequest): string =>
  requestedId(request, 'restorePointCollections', 'restorePointCollectionName')

const viewOfCollection = (collection: CollectionRecord, points?: readonly unknown[]): Record<string, unknown> => ({
  name: collection.name,
  id: collection.id,
  type: 'Microsoft.Compute/restorePointCollections',
  location: collection.location,
  ...(collection.tags === undefined ? {} : { tags: collection.tags }),
  properties: {
    source: { location: collection.sourceLocation, id: collection.sourceVmId },
    restorePointCollectionId: collection.collectionId,
    provisioningState: collection.provisioningState,
    ...(points === undefined ? {} : { restorePoints: points }),
  },
})

/** PUT, synchronous: 201 for a new collection, then 200; only tags may differ (RestorePointCollection.tsp). */
const putCollection = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const name = param(request, 'restorePointCollectionName')
  requireResourceName(name, 'restorePointCollectionName')
  const location = requireLocation(request.body, 'Microsoft.Compute/restorePointCollections')
  const body = parseBody(bodySchema, request.body)
  const id = collectionIdOf(request)
  const existing = context.state.get('restorePointCollections', id)
  const sourceId = body.properties.source.id
  if (existing !== null) {
    if (existing.provisioningState === 'Deleting') throw conflict(`Collection '${name}' is being deleted.`)
    if (existing.location !== location) throw propertyChangeNotAllowed('location')
    if (idKey(existing.sourceVmId) !== idKey(sourceId)) throw propertyChangeNotAllowed('properties.source.id')
    return { status: 200, body: viewOfCollection(saved(context, existing, body.tags)) }
  }
  const vm = findSourceVm(context, sourceId)
  const made: CollectionRecord = {
    id,
    name,
    location,
    ...(body.tags === undefined ? {} : { tags: body.tags }),
    timeCreated: timestamp(context.nowMs()),
    provisioningState: 'Succeeded',
    collectionId: randomUUID(),
    sourceVmId: vm.id,
    sourceLocation: vm.location,
  }
  if (vm.location !== normalLocation(location))
    throw invalidParameter('location', `The collection must be in the location of its source, ${vm.location}.`)
  context.state.put('restorePointCollections', made)
  return { status: 201, body: viewOfCollection(made) }
}

const findSourceVm = (context: EmulatorContext, sourceId: string) => {
  const [type] = parseComputeId(sourceId)?.segments ?? []
  if (type?.toLowerCase() === 'restorepointcollections')
    throw invalidParameter('properties.source.id', 'Copies of restore points between regions are not emulated.')
  if (type?.toLowerCase() !== 'virtualmachines')
    throw invalidParameter('properties.source.id', 'The source must be the id of a virtual machine.')
  return findRecord(context, 'virtualMachines', sourceId)
}

const saved = (
  context: EmulatorContext,
  collection: CollectionRecord,
  tags: Readonly<Record<string, string>> | undefined,
): CollectionRecord => {
  const changed = tags === undefined ? collection : { ...collection, tags }
  context.state.put('restorePointCollections', changed)
  return changed
}

const patchCollection = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const collection = findRecord(context, 'restorePointCollections', collectionIdOf(request))
  const body = parseBody(patchSchema, request.body)
  if (body.properties?.source !== undefined && idKey(body.properties.source.id) !== idKey(collection.sourceVmId))
    throw propertyChangeNotAllowed('properties.source.id')
  return { status: 200, body: viewOfCollection(saved(context, collection, body.tags)) }
}

const getCollection = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const collection = findRecord(context, 'restorePointCollections', collectionIdOf(request))
  const expand = request.query.get('$expand')
  if (expand === null) return { status: 200, body: viewOfCollection(collection) }
  if (expand.toLowerCase() !== 'restorepoints')
    throw invalidParameter('$expand', `The value '${expand}' of $expand is not valid; use restorePoints.`)
  const points = pointsOf(context, collection).map((point) => viewOfRestorePoint(point))
  return { status: 200, body: viewOfCollection(collection, points) }
}

const pointsOf = (context: EmulatorContext, collection: CollectionRecord): RestorePointRecord[] =>
  context.state.list('restorePoints', `${collection.id}/restorePoints/`)

const listCollections = (context: EmulatorContext, request: ArmRequest): ArmReply =>
  pageOf(
    context,
    request,
    context.state.list('restorePointCollections', listPrefix(request, 'restorePointCollections')),
    (collection) => viewOfCollection(collection),
  )

const deleteCollection = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const collection = context.state.get('restorePointCollections', collectionIdOf(request))
  if (collection === null) return { status: 204 }
  if (collection.provisioningState === 'Deleting') throw conflict(`Collection '${collection.name}' is being deleted.`)
  const points = pointsOf(context, collection)
  if (points.some((point) => point.provisioningState === 'Creating'))
    throw conflict(`A restore point of collection '${collection.name}' is being created.`)
  for (const point of points) refuseOpenPoint(context, point)
  const operation = context.state.transaction(() => {
    context.state.put('restorePointCollections', { ...collection, provisioningState: 'Deleting' })
    for (const point of points) context.state.put('restorePoints', { ...point, provisioningState: 'Deleting' })
    return context.operations.begin(request, {
      action: 'deleteCollection',
      service: 'compute',
      subscriptionId: param(request, 'subscriptionId'),
      location: collection.location,
      resourceId: collection.id,
      input: {},
    })
  })
  return accepted(context, request, operation, { status: 202, location: true })
}

/** A live SAS on one of its disks keeps a restore point from being deleted. @throws ArmError 409 `DiskRestorePointUsedByCustomer` */
export const refuseOpenPoint = (context: EmulatorContext, point: RestorePointRecord): void => {
  const open = context.state
    .list('diskRestorePoints', `${point.id}/diskRestorePoints/`)
    .find((disk) => accessIsLive(context, disk))
  if (open !== undefined)
    throw new ArmError({
      status: 409,
      code: 'DiskRestorePointUsedByCustomer',
      message: `Restore point '${point.name}' cannot be deleted: disk restore point '${open.name}' has an active shared access signature. Call endGetAccess on it first.`,
    })
}

/** Deletes a collection with all its restore points. */
export const deleteCollectionAction: OperationAction = {
  work: async (context, operation) => {
    for (const disk of context.state.list('diskRestorePoints', `${operation.resourceId}/restorePoints/`))
      await context.disks.remove(disk.contentId)
    return undefined
  },
  settle: (context, operation) => {
    const prefix = `${operation.resourceId}/restorePoints/`
    for (const disk of context.state.list('diskRestorePoints', prefix))
      context.state.remove('diskRestorePoints', disk.id)
    for (const point of context.state.list('restorePoints', prefix)) context.state.remove('restorePoints', point.id)
    context.state.remove('restorePointCollections', operation.resourceId)
    return undefined
  },
  undo: (context, operation) => {
    const collection = context.state.get('restorePointCollections', operation.resourceId)
    if (collection === null) return
    context.state.put('restorePointCollections', { ...collection, provisioningState: 'Failed' })
    for (const point of pointsOf(context, collection))
      context.state.put('restorePoints', { ...point, provisioningState: 'Failed' })
  },
}

const service = 'compute'
const one = inGroup('restorePointCollections/{restorePointCollectionName}')

/** Restore point collections: create or update, patch of tags, get, lists, delete. */
export const restorePointCollectionRoutes: readonly Route[] = [
  {
    operation: 'RestorePointCollections_ListAll',
    method: 'GET',
    path: inSubscription('restorePointCollections'),
    service,
    handle: listCollections,
  },
  {
    operation: 'RestorePointCollections_List',
    method: 'GET',
    path: inGroup('restorePointCollections'),
    service,
    handle: listCollections,
  },
  { operation: 'RestorePointCollections_Get', method: 'GET', path: one, service, handle: getCollection },
  { operation: 'RestorePointCollections_CreateOrUpdate', method: 'PUT', path: one, service, handle: putCollection },
  { operation: 'RestorePointCollections_Update', method: 'PATCH', path: one, service, handle: patchCollection },
  { operation: 'RestorePointCollections_Delete', method: 'DELETE', path: one, service, handle: deleteCollection },
]
