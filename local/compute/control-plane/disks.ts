import { operationNotAllowed } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, inSubscription, type Route } from './arm-request.ts'
import { beginDeletion, deletionAction } from './begin-deletion.ts'
import { diskPatchSchema } from './disk-body.ts'
import { createOrUpdateDisk } from './disk-create.ts'
import { updateDisk } from './disk-update.ts'
import { viewOfDisk } from './disk-view.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord, listPrefix, requestedId } from './find-record.ts'
import type { OperationAction } from './operations.ts'
import { pageOf } from './paging.ts'
import { parseBody } from './request-body.ts'
import { nameOf } from './resource-ids.ts'

const diskId = (request: ArmRequest): string => requestedId(request, 'disks', 'diskName')

const patchDisk = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const disk = findRecord(context, 'disks', diskId(request))
  return updateDisk(context, request, disk, parseBody(diskPatchSchema, request.body))
}

const deleteDisk = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const disk = context.state.get('disks', diskId(request))
  if (disk === null) return { status: 204 }
  if (disk.managedBy !== undefined)
    throw operationNotAllowed(`Disk '${disk.name}' is attached to VM '${nameOf(disk.managedBy)}'. Detach it first.`)
  return beginDeletion(context, request, 'disks', disk)
}

/** A fleet disk's raw file is left; a disk made anew in its place gets new ids. */
export const deleteDiskAction: OperationAction = deletionAction('disks', (context, resourceId) => {
  const generation = `generation ${resourceId.toLowerCase()}`
  context.state.setFact(generation, String(Number(context.state.getFact(generation) ?? '0') + 1))
})

const listDisks = (context: EmulatorContext, request: ArmRequest): ArmReply =>
  pageOf(context, request, context.state.list('disks', listPrefix(request, 'disks')), (disk) =>
    viewOfDisk(context, disk),
  )

const getDisk = (context: EmulatorContext, request: ArmRequest): ArmReply => ({
  status: 200,
  body: viewOfDisk(context, findRecord(context, 'disks', diskId(request))),
})

const service = 'disk'

/** Disks: create or update, patch, get, lists, delete. */
export const diskRoutes: readonly Route[] = [
  { operation: 'Disks_List', method: 'GET', path: inSubscription('disks'), service, handle: listDisks },
  { operation: 'Disks_ListByResourceGroup', method: 'GET', path: inGroup('disks'), service, handle: listDisks },
  { operation: 'Disks_Get', method: 'GET', path: inGroup('disks/{diskName}'), service, handle: getDisk },
  {
    operation: 'Disks_CreateOrUpdate',
    method: 'PUT',
    path: inGroup('disks/{diskName}'),
    service,
    handle: createOrUpdateDisk,
  },
  { operation: 'Disks_Update', method: 'PATCH', path: inGroup('disks/{diskName}'), service, handle: patchDisk },
  { operation: 'Disks_Delete', method: 'DELETE', path: inGroup('disks/{diskName}'), service, handle: deleteDisk },
]
