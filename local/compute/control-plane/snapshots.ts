import { invalidParameter } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, inSubscription, type Route } from './arm-request.ts'
import { beginDeletion, deletionAction } from './begin-deletion.ts'
import { snapshotPatchSchema } from './disk-body.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord, listPrefix, requestedId } from './find-record.ts'
import type { OperationAction } from './operations.ts'
import { pageOf } from './paging.ts'
import { parseBody } from './request-body.ts'
import { createOrUpdateSnapshot } from './snapshot-create.ts'
import { updateSnapshot } from './snapshot-update.ts'
import { viewOfSnapshot } from './snapshot-view.ts'

const snapshotId = (request: ArmRequest): string => requestedId(request, 'snapshots', 'snapshotName')

const patchSnapshot = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const snapshot = findRecord(context, 'snapshots', snapshotId(request))
  const { tags, sku, properties = {} } = parseBody(snapshotPatchSchema, request.body)
  const { networkAccessPolicy, publicNetworkAccess, ...others } = properties
  const other = Object.keys(others)[0]
  if (other !== undefined)
    throw invalidParameter(`properties.${other}`, `The '${other}' of a snapshot cannot be changed here.`)
  return updateSnapshot(context, request, snapshot, { tags, sku, networkAccessPolicy, publicNetworkAccess })
}

const deleteSnapshot = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const snapshot = context.state.get('snapshots', snapshotId(request))
  if (snapshot === null) return { status: 204 }
  return beginDeletion(context, request, 'snapshots', snapshot)
}

export const deleteSnapshotAction: OperationAction = deletionAction('snapshots')

const listSnapshots = (context: EmulatorContext, request: ArmRequest): ArmReply =>
  pageOf(context, request, context.state.list('snapshots', listPrefix(request, 'snapshots')), (snapshot) =>
    viewOfSnapshot(context, snapshot),
  )

const getSnapshot = (context: EmulatorContext, request: ArmRequest): ArmReply => ({
  status: 200,
  body: viewOfSnapshot(context, findRecord(context, 'snapshots', snapshotId(request))),
})

const service = 'disk'
const one = inGroup('snapshots/{snapshotName}')

/** Snapshots: create or update, patch, get, lists, delete. */
export const snapshotRoutes: readonly Route[] = [
  { operation: 'Snapshots_List', method: 'GET', path: inSubscription('snapshots'), service, handle: listSnapshots },
  {
    operation: 'Snapshots_ListByResourceGroup',
    method: 'GET',
    path: inGroup('snapshots'),
    service,
    handle: listSnapshots,
  },
  { operation: 'Snapshots_Get', method: 'GET', path: one, service, handle: getSnapshot },
  { operation: 'Snapshots_CreateOrUpdate', method: 'PUT', path: one, service, handle: createOrUpdateSnapshot },
  { operation: 'Snapshots_Update', method: 'PATCH', path: one, service, handle: patchSnapshot },
  { operation: 'Snapshots_Delete', method: 'DELETE', path: one, service, handle: deleteSnapshot },
]
