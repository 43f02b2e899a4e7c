import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { conflict, invalidParameter, parentResourceNotFound } from './arm-error.ts'
import { type ArmReply, type ArmRequest, param } from './arm-request.ts'
import { type EmulatorContext, timestamp } from './emulator-context.ts'
import { findRecord, requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import type { JsonObject, RestorePointRecord, VmRecord } from './records.ts'
import { parseBody } from './request-body.ts'
import { idKey } from './resource-ids.ts'
import { requireResourceName } from './resource-names.ts'
import { refuseOverLimits } from './restore-point-limits.ts'
import { sourceMetadataOf, viewOfRestorePoint } from './restore-point-view.ts'
import { disksOfVm, refuseWhileBusy } from './vm-conflicts.ts'

/** Only CrashConsistent is accepted as a wish; the better modes are what one gets by leaving it out. */
const bodySchema = v.strictObject({
  properties: v.optional(
    v.strictObject({
      excludeDisks: v.optional(v.array(v.strictObject({ id: v.string() }))),
      consistencyMode: v.optional(v.string()),
    }),
    {},
  ),
})

/** One disk of the point to come: names and contents are fixed at the start, so a second run makes the same. */
export interface PlannedDisk extends JsonObject {
  readonly diskId: string
  readonly diskContentId: string
  readonly name: string
  readonly contentId: string
}

/** PUT of a restore point: 201 with Azure-AsyncOperation only, the point Creating. */
export const createRestorePoint = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const name = param(request, 'restorePointName')
  requireResourceName(name, 'restorePointName')
  const { properties } = parseBody(bodySchema, request.body)
  const crash = wantsCrash(properties.consistencyMode)
  const id = requestedId(
    request,
    'restorePointCollections',
    'restorePointCollectionName',
    'restorePoints',
    'restorePointName',
  )
  const vm = sourceVm(context, request)
  const existing = context.state.get('restorePoints', id)
  if (existing !== null)
    throw conflict(`Restore point '${name}' already exists (${existing.provisioningState}); it cannot be updated.`)
  refuseWhileBusy(context, vm)
  refuseOverLimits(context, vm, crash)
  const excluded = excludedDisks(vm, properties.excludeDisks ?? [])
  const point: RestorePointRecord = {
    id,
    name,
    location: vm.location,
    timeCreated: timestamp(context.nowMs()),
    provisioningState: 'Creating',
    sourceVmId: vm.id,
    excludeDisks: [...excluded.values()],
    ...(crash ? { requestedMode: 'CrashConsistent' } : {}),
    sourceMetadata: sourceMetadataOf(context, vm, new Set(excluded.keys())),
    diskRestorePoints: {},
  }
  return begin(context, request, vm, point, new Set(excluded.keys()))
}

const begin = (
  context: EmulatorContext,
  request: ArmRequest,
  vm: VmRecord,
  point: RestorePointRecord,
  excluded: ReadonlySet<string>,
): ArmReply => {
  const operation = context.state.transaction(() => {
    context.state.put('restorePoints', point)
    return context.operations.begin(request, {
      action: 'createRestorePoint',
      service: 'compute',
      subscriptionId: param(request, 'subscriptionId'),
      location: vm.location,
      resourceId: point.id,
      input: {
        disks: plannedDisks(context, vm, excluded),
        vssWriterFailure: request.fault?.vssWriterFailure ?? false,
      },
    })
  })
  return accepted(context, request, operation, { status: 201, location: false, body: viewOfRestorePoint(point) })
}

const wantsCrash = (mode: string | undefined): boolean => {
  if (mode === undefined) return false
  if (mode === 'CrashConsistent') return true
  throw invalidParameter(
    'properties.consistencyMode',
    `The value '${mode}' of consistencyMode is not accepted as input: only CrashConsistent is. Leave it out for the best consistency the VM can give.`,
  )
}

const sourceVm = (context: EmulatorContext, request: ArmRequest): VmRecord => {
  const collectionName = param(request, 'restorePointCollectionName')
  const collection = context.state.get(
    'restorePointCollections',
    requestedId(request, 'restorePointCollections', 'restorePointCollectionName'),
  )
  if (collection === null) throw parentResourceNotFound('restorePointCollections/restorePoints', collectionName)
  if (collection.provisioningState === 'Deleting') throw conflict(`Collection '${collectionName}' is being deleted.`)
  return findRecord(context, 'virtualMachines', collection.sourceVmId)
}

/** Ids to leave out, by lower-case id. A disk that is not the VM's is refused: whether Azure does is unknown. */
const excludedDisks = (vm: VmRecord, excludeDisks: readonly { readonly id: string }[]): Map<string, string> => {
  const own = new Set([vm.osDisk, ...vm.dataDisks].map(({ diskId }) => idKey(diskId)))
  for (const { id } of excludeDisks)
    if (!own.has(idKey(id)))
      throw invalidParameter('properties.excludeDisks', `'${id}' is not a disk of virtual machine '${vm.name}'.`)
  if (new Set(excludeDisks.map(({ id }) => idKey(id))).size === own.size)
    throw invalidParameter('properties.excludeDisks', 'All disks are excluded; a restore point has at least one.')
  return new Map(excludeDisks.map(({ id }) => [idKey(id), id]))
}

const plannedDisks = (context: EmulatorContext, vm: VmRecord, excluded: ReadonlySet<string>): PlannedDisk[] =>
  disksOfVm(context, vm)
    .filter((disk) => !excluded.has(idKey(disk.id)))
    .map((disk) => {
      const guid = randomUUID()
      return {
        diskId: disk.id,
        diskContentId: disk.contentId,
        name: `${disk.name}_${guid}`,
        contentId: `drp-${guid}`,
      }
    })
