import * as v from 'valibot'
import { accessIsLive, liveInFamily } from './access-state.ts'
import { badRequest, conflict, invalidParameter, operationNotAllowed } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, param, type Route } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord, requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import type { ReadableKind, ReadableRecord, RecordKinds } from './records.ts'
import { parseBody } from './request-body.ts'
import { idKey, nameOf } from './resource-ids.ts'

/** Least duration of a SAS as the service takes it, and the most: 60 days. */
const durationSecondsMin = 30
const durationSecondsMax = 5_184_000

const grantSchema = v.strictObject({
  access: v.picklist(['Read', 'Write']),
  durationInSeconds: v.pipe(
    v.number(),
    v.integer('must be a whole number of seconds'),
    v.minValue(durationSecondsMin, `must be at least ${durationSecondsMin}`),
    v.maxValue(durationSecondsMax, `must be at most ${durationSecondsMax}`),
  ),
  fileFormat: v.optional(v.picklist(['VHD', 'VHDX'])),
  getSecureVMGuestStateSAS: v.optional(v.boolean()),
})

type GrantBody = v.InferOutput<typeof grantSchema>

const beginGetAccess =
  (kind: ReadableKind, idOf: (request: ArmRequest) => string) =>
  (context: EmulatorContext, request: ArmRequest): ArmReply => {
    const body = parseBody(grantSchema, request.body)
    refuseUnsupported(body)
    const record = findRecord(context, kind, idOf(request))
    refuseWrongState(context, kind, record, body)
    refuseSixth(context, kind, record)
    const expiresAtMs = Math.max(
      context.nowMs() + body.durationInSeconds * 1000,
      accessIsLive(context, record) ? (record.access?.expiresAtMs ?? 0) : 0,
    )
    const operation = context.state.transaction(() => {
      putAccess(context, kind, record, { level: body.access, expiresAtMs })
      return context.operations.begin(request, {
        action: 'grantAccess',
        service: 'disk',
        subscriptionId: param(request, 'subscriptionId'),
        location: record.location,
        resourceId: record.id,
        input: {
          kind,
          level: body.access,
          durationSeconds: body.durationInSeconds,
          ...(record.access === undefined ? {} : { before: record.access }),
        },
      })
    })
    return accepted(context, request, operation, { status: 202, location: true })
  }

/** Replaces the access of whatever kind of readable resource it is. */
export const putAccess = (
  context: EmulatorContext,
  kind: ReadableKind,
  record: ReadableRecord,
  access: ReadableRecord['access'] | null,
): void => {
  const { access: _, ...rest } = record
  const changed = access === null || access === undefined ? rest : { ...rest, access }
  context.state.put(kind, changed as RecordKinds[ReadableKind])
}

const refuseUnsupported = (body: GrantBody): void => {
  if (body.getSecureVMGuestStateSAS === true)
    throw badRequest('A guest state SAS can be had only of disks of trusted launch and confidential VMs.')
  if (body.fileFormat === 'VHDX')
    throw badRequest('The file format VHDX is for disks with 4096-byte sectors; this one can be read as VHD.')
}

const refuseWrongState = (
  context: EmulatorContext,
  kind: ReadableKind,
  record: ReadableRecord,
  body: GrantBody,
): void => {
  if (record.provisioningState !== 'Succeeded')
    throw conflict(`Another operation on '${record.name}' is in progress or has failed: ${record.provisioningState}.`)
  if (record.networkAccessPolicy === 'DenyAll')
    throw operationNotAllowed(`The networkAccessPolicy of '${record.name}' is DenyAll: it cannot be exported.`)
  const disk = kind === 'disks' ? context.state.get('disks', record.id) : null
  if (body.access === 'Write' && disk?.uploading !== true)
    throw kind === 'disks'
      ? operationNotAllowed(`Disk '${record.name}' was not created with createOption Upload: it cannot be written.`)
      : invalidParameter('access', `'${record.name}' is immutable: only access Read can be granted.`)
  if (body.access === 'Read' && disk?.uploading === true)
    throw operationNotAllowed(`Disk '${record.name}' is ready for upload: only access Write can be granted.`)
  if (disk?.managedBy === undefined) return
  const vm = context.state.get('virtualMachines', disk.managedBy)
  if (vm !== null && vm.powerState !== 'deallocated')
    throw conflict(
      `Access not permitted because disk '${disk.name}' is currently attached to running VM '${nameOf(disk.managedBy)}'.`,
    )
}

/** At most five snapshots of one family have a live SAS at once (incremental snapshot restrictions); the point of the
 * family that is open already may be extended. */
const refuseSixth = (context: EmulatorContext, kind: ReadableKind, record: ReadableRecord): void => {
  if (kind === 'disks' || record.familyId === '') return
  const max = context.settings().liveSasPerFamilyMax
  const others = liveInFamily(context, record.familyId).filter((other) => idKey(other.id) !== idKey(record.id))
  if (others.length >= max)
    throw operationNotAllowed(
      `${max} snapshots of the family of '${record.name}' already have an active shared access signature. Revoke one first.`,
    )
}

const endGetAccess =
  (kind: ReadableKind, idOf: (request: ArmRequest) => string) =>
  (context: EmulatorContext, request: ArmRequest): ArmReply => {
    const record = findRecord(context, kind, idOf(request))
    const operation = context.operations.begin(request, {
      action: 'revokeAccess',
      service: 'disk',
      subscriptionId: param(request, 'subscriptionId'),
      location: record.location,
      resourceId: record.id,
      input: { kind },
    })
    return accepted(context, request, operation, { status: 202, location: true })
  }

const accessRoutes = (prefix: string, kind: ReadableKind, path: string, segments: readonly string[]): Route[] => {
  const idOf = (request: ArmRequest): string => requestedId(request, ...segments)
  return [
    {
      operation: `${prefix}_GrantAccess`,
      method: 'POST',
      path: inGroup(`${path}/beginGetAccess`),
      service: 'disk',
      handle: beginGetAccess(kind, idOf),
    },
    {
      operation: `${prefix}_RevokeAccess`,
      method: 'POST',
      path: inGroup(`${path}/endGetAccess`),
      service: 'disk',
      handle: endGetAccess(kind, idOf),
    },
  ]
}

/** Path parameters of a disk restore point, as type and parameter in turn. */
export const diskRestorePointSegments = [
  'restorePointCollections',
  'restorePointCollectionName',
  'restorePoints',
  'vmRestorePointName',
  'diskRestorePoints',
  'diskRestorePointName',
] as const

/** beginGetAccess and endGetAccess of disks, snapshots and disk restore points. */
export const accessRoutesOfAll: readonly Route[] = [
  ...accessRoutes('Disks', 'disks', 'disks/{diskName}', ['disks', 'diskName']),
  ...accessRoutes('Snapshots', 'snapshots', 'snapshots/{snapshotName}', ['snapshots', 'snapshotName']),
  ...accessRoutes(
    'DiskRestorePoint',
    'diskRestorePoints',
    'restorePointCollections/{restorePointCollectionName}/restorePoints/{vmRestorePointName}/diskRestorePoints/{diskRestorePointName}',
    diskRestorePointSegments,
  ),
]
