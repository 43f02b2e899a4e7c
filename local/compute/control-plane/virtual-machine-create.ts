import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { accessIsLive } from './access-state.ts'
import { conflict, invalidParameter, operationNotAllowed } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, param, type Route } from './arm-request.ts'
import { type EmulatorContext, timestamp } from './emulator-context.ts'
import { findRecord, requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import { markFailed } from './provisioning.ts'
import type { DiskRecord, VmRecord } from './records.ts'
import { normalLocation, requireLocation } from './regions.ts'
import { parseBody, tagsSchema } from './request-body.ts'
import { requireResourceName } from './resource-names.ts'
import { viewOfVm } from './virtual-machine-view.ts'
import { disksOfVm, refuseWhileBusy } from './vm-conflicts.ts'

const attachEntries = {
  name: v.optional(v.string()),
  createOption: v.picklist(['Attach'], 'only Attach is emulated: make the disks first'),
  caching: v.optional(v.picklist(['None', 'ReadOnly', 'ReadWrite']), 'None'),
  managedDisk: v.strictObject({ id: v.string(), storageAccountType: v.optional(v.string()) }),
  deleteOption: v.optional(v.picklist(['Detach'])),
}

const bodySchema = v.strictObject({
  location: v.string(),
  tags: v.optional(tagsSchema),
  plan: v.optional(v.record(v.string(), v.unknown())),
  properties: v.strictObject({
    hardwareProfile: v.strictObject({ vmSize: v.string() }),
    storageProfile: v.strictObject({
      osDisk: v.strictObject({ osType: v.picklist(['Linux', 'Windows']), ...attachEntries }),
      dataDisks: v.optional(
        v.array(
          v.strictObject({ lun: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(63)), ...attachEntries }),
        ),
        [],
      ),
    }),
    networkProfile: v.optional(v.record(v.string(), v.unknown())),
    userData: v.optional(v.string()),
  }),
})

type VmBody = v.InferOutput<typeof bodySchema>

/** PUT of a new VM whose disks all exist: the way a restore brings a VM back. VMs that exist are not changed by it. */
const createVm = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const name = param(request, 'vmName')
  requireResourceName(name, 'vmName')
  const location = requireLocation(request.body, 'Microsoft.Compute/virtualMachines')
  const body = parseBody(bodySchema, request.body)
  const id = requestedId(request, 'virtualMachines', 'vmName')
  if (context.state.get('virtualMachines', id) !== null)
    throw operationNotAllowed(`Virtual machine '${name}' exists; this emulator does not change VMs by PUT.`)
  const disks = attachableDisks(context, body, location)
  const vm = newVm(context, id, name, location, body, disks)
  const operation = context.state.transaction(() => {
    context.state.put('virtualMachines', vm)
    for (const disk of disks) context.state.put('disks', { ...disk, managedBy: id })
    return context.operations.begin(request, {
      action: 'createVm',
      service: 'compute',
      subscriptionId: param(request, 'subscriptionId'),
      location,
      resourceId: id,
      input: {},
    })
  })
  return accepted(context, request, operation, {
    status: 201,
    location: false,
    retryAfter: true,
    body: viewOfVm(context, vm),
  })
}

/** The disks to attach, the operating system's first. @throws ArmError where one is missing, elsewhere, attached, open or unfinished */
const attachableDisks = (context: EmulatorContext, body: VmBody, location: string): DiskRecord[] => {
  const { osDisk, dataDisks } = body.properties.storageProfile
  const luns = dataDisks.map(({ lun }) => lun)
  if (new Set(luns).size !== luns.length)
    throw invalidParameter('properties.storageProfile.dataDisks', 'Two data disks have one lun.')
  const disks = [osDisk, ...dataDisks].map(({ managedDisk }) => findRecord(context, 'disks', managedDisk.id))
  if (new Set(disks.map(({ id }) => id)).size !== disks.length)
    throw invalidParameter('properties.storageProfile.dataDisks', 'A disk is named twice.')
  for (const disk of disks) {
    if (disk.location !== location) throw invalidParameter('location', `Disk '${disk.name}' is in ${disk.location}.`)
    if (disk.managedBy !== undefined) throw conflict(`Disk '${disk.name}' is attached to another virtual machine.`)
    if (accessIsLive(context, disk))
      throw conflict(`Disk '${disk.name}' has an active shared access signature. Call endGetAccess on it first.`)
    if (disk.uploading) throw conflict(`Disk '${disk.name}' waits for its upload to end.`)
    if (disk.provisioningState !== 'Succeeded')
      throw conflict(`Another operation on disk '${disk.name}' is in progress.`)
  }
  if (disks[0]?.osType !== undefined && disks[0].osType !== osDisk.osType)
    throw invalidParameter(
      'properties.storageProfile.osDisk.osType',
      `The disk's operating system is ${disks[0].osType}.`,
    )
  return disks
}

const newVm = (
  context: EmulatorContext,
  id: string,
  name: string,
  location: string,
  body: VmBody,
  disks: readonly DiskRecord[],
): VmRecord => {
  const { osDisk, dataDisks } = body.properties.storageProfile
  const at = (index: number): string => disks[index]?.id ?? ''
  return {
    id,
    name,
    location: normalLocation(location),
    ...(body.tags === undefined ? {} : { tags: body.tags }),
    timeCreated: timestamp(context.nowMs()),
    provisioningState: 'Creating',
    vmId: randomUUID(),
    osType: osDisk.osType,
    vmSize: body.properties.hardwareProfile.vmSize,
    hyperVGeneration: disks[0]?.hyperVGeneration ?? 'V1',
    powerState: 'starting',
    osDisk: { diskId: at(0), caching: osDisk.caching },
    dataDisks: dataDisks.map(({ lun, caching }, index) => ({ lun, caching, diskId: at(index + 1) })),
    ...(body.plan === undefined ? {} : { plan: body.plan }),
    ...(body.properties.userData === undefined ? {} : { userData: body.properties.userData }),
  }
}

const detachAll = (context: EmulatorContext, vm: VmRecord): void => {
  for (const disk of disksOfVm(context, vm)) {
    const { managedBy: _, ...detached } = disk
    context.state.put('disks', detached)
  }
}

/** Starts the new VM; one that failed to start gives its disks back. */
export const createVmAction: OperationAction = {
  work: async () => undefined,
  settle: (context, operation) => {
    const vm = context.state.get('virtualMachines', operation.resourceId)
    if (vm !== null)
      context.state.put('virtualMachines', { ...vm, provisioningState: 'Succeeded', powerState: 'running' })
    return undefined
  },
  undo: (context, operation) => {
    const vm = context.state.get('virtualMachines', operation.resourceId)
    if (vm === null) return
    detachAll(context, vm)
    context.state.remove('virtualMachines', vm.id)
  },
}

const deleteVm = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const vm = context.state.get('virtualMachines', requestedId(request, 'virtualMachines', 'vmName'))
  if (vm === null) return { status: 204 }
  refuseWhileBusy(context, vm)
  const operation = context.state.transaction(() => {
    context.state.put('virtualMachines', { ...vm, provisioningState: 'Deleting' })
    return context.operations.begin(request, {
      action: 'deleteVm',
      service: 'compute',
      subscriptionId: param(request, 'subscriptionId'),
      location: vm.location,
      resourceId: vm.id,
      input: {},
    })
  })
  return accepted(context, request, operation, { status: 202, location: true, retryAfter: true })
}

/** Deletes the VM; its disks stay, detached. */
export const deleteVmAction: OperationAction = {
  work: async () => undefined,
  settle: (context, operation) => {
    const vm = context.state.get('virtualMachines', operation.resourceId)
    if (vm === null) return undefined
    detachAll(context, vm)
    context.state.remove('virtualMachines', vm.id)
    return undefined
  },
  undo: markFailed('virtualMachines'),
}

/** Making and deleting VMs. */
export const putVmRoutes: readonly Route[] = [
  {
    operation: 'VirtualMachines_CreateOrUpdate',
    method: 'PUT',
    path: inGroup('virtualMachines/{vmName}'),
    service: 'compute',
    handle: createVm,
  },
  {
    operation: 'VirtualMachines_Delete',
    method: 'DELETE',
    path: inGroup('virtualMachines/{vmName}'),
    service: 'compute',
    handle: deleteVm,
  },
]
