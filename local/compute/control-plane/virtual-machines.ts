import { ArmError, invalidParameter } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, inSubscription, type Route } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord, listPrefix, requestedId } from './find-record.ts'
import { pageOf } from './paging.ts'
import { instanceViewOf, viewOfVm } from './virtual-machine-view.ts'

const expandOf = (request: ArmRequest): ReadonlySet<string> => {
  const names = (request.query.get('$expand') ?? '').split(',').filter((name) => name !== '')
  for (const name of names)
    if (name.toLowerCase() !== 'instanceview' && name.toLowerCase() !== 'userdata')
      throw invalidParameter('$expand', `The value '${name}' of $expand is not valid; use instanceView or userData.`)
  return new Set(names.map((name) => name.toLowerCase()))
}

const refuseFilter = (request: ArmRequest): void => {
  if (request.query.has('$filter'))
    throw new ArmError({
      status: 400,
      code: 'BadRequest',
      message: 'This emulator has no scale sets: $filter is not supported.',
      target: '$filter',
    })
}

const getVm = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  const expand = expandOf(request)
  const vm = findRecord(context, 'virtualMachines', requestedId(request, 'virtualMachines', 'vmName'))
  return {
    status: 200,
    body: viewOfVm(context, vm, { instanceView: expand.has('instanceview'), userData: expand.has('userdata') }),
  }
}

const getInstanceView = (context: EmulatorContext, request: ArmRequest): ArmReply => ({
  status: 200,
  body: instanceViewOf(
    context,
    findRecord(context, 'virtualMachines', requestedId(request, 'virtualMachines', 'vmName')),
  ),
})

/** `statusOnly=true` asks for the run-time status of all VMs of a subscription: that is the instance view. */
const listVms = (context: EmulatorContext, request: ArmRequest): ArmReply => {
  refuseFilter(request)
  const instanceView = expandOf(request).has('instanceview') || request.query.get('statusOnly') === 'true'
  const vms = context.state.list('virtualMachines', listPrefix(request, 'virtualMachines'))
  return pageOf(context, request, vms, (vm) => viewOfVm(context, vm, { instanceView }))
}

/** Reading VMs: get, instance view, lists of a resource group and of a subscription. */
export const virtualMachineRoutes: readonly Route[] = [
  {
    operation: 'VirtualMachines_ListAll',
    method: 'GET',
    path: inSubscription('virtualMachines'),
    service: 'compute',
    handle: listVms,
  },
  {
    operation: 'VirtualMachines_List',
    method: 'GET',
    path: inGroup('virtualMachines'),
    service: 'compute',
    handle: listVms,
  },
  {
    operation: 'VirtualMachines_Get',
    method: 'GET',
    path: inGroup('virtualMachines/{vmName}'),
    service: 'compute',
    handle: getVm,
  },
  {
    operation: 'VirtualMachines_InstanceView',
    method: 'GET',
    path: inGroup('virtualMachines/{vmName}/instanceView'),
    service: 'compute',
    handle: getInstanceView,
  },
]
