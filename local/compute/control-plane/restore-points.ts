import { conflict, invalidParameter } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, param, type Route } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord, requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import { refuseOpenPoint } from './restore-point-collections.ts'
import { createRestorePoint } from './restore-point-create.ts'
import { instanceViewOfPoint, viewOfRestorePoint } from './restore-point-view.ts'

const pointId = (request: ArmRequest): string =>
  requestedId(request, 'restorePointCollections', 'restorePointCollectionName', 'restorePoints', 'restorePointName')

const getRestorePoint = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const expand = request.query.get('$expand')
  if (expand !== null && expand.toLowerCase() !== 'instanceview')
    throw invalidParameter('$expand', `The value '${expand}' of $expand is not valid; use instanceView.`)
  const point = findRecord(context, 'restorePoints', pointId(request))
  return { status: 200, body: viewOfRestorePoint(point, expand === null ? undefined : instanceViewOfPoint(point)) }
}

const deleteRestorePoint = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const point = context.state.get('restorePoints', pointId(request))
  if (point === null) return { status: 204 }
  if (point.provisioningState === 'Creating' || point.provisioningState === 'Deleting')
    throw conflict(`Another operation on restore point '${point.name}' is in progress: ${point.provisioningState}.`)
  refuseOpenPoint(context, point)
  const operation = context.state.transaction(() => {
    context.state.put('restorePoints', { ...point, provisioningState: 'Deleting' })
    return context.operations.begin(request, {
      action: 'deleteRestorePoint',
      service: 'compute',
      subscriptionId: param(request, 'subscriptionId'),
      location: point.location,
      resourceId: point.id,
      input: {},
    })
  })
  return accepted(context, request, operation, { status: 202, location: true })
}

const one = inGroup('restorePointCollections/{restorePointCollectionName}/restorePoints/{restorePointName}')

/** Restore points: create, get, delete. They cannot be updated, and are listed by their collection. */
export const restorePointRoutes: readonly Route[] = [
  { operation: 'RestorePoints_Get', method: 'GET', path: one, service: 'compute', handle: getRestorePoint },
  { operation: 'RestorePoints_Create', method: 'PUT', path: one, service: 'compute', handle: createRestorePoint },
  { operation: 'RestorePoints_Delete', method: 'DELETE', path: one, service: 'compute', handle: deleteRestorePoint },
]
