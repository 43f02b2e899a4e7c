import { accessIsLive } from './access-state.ts'
import { conflict, operationNotAllowed } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inGroup, type Route } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import { findRecord, requestedId } from './find-record.ts'
import { accepted } from './operation-status.ts'
import type { OperationAction } from './operations.ts'
import type { PowerState, VmRecord } from './records.ts'
import { disksOfVm, refuseWhileBusy } from './vm-conflicts.ts'

type SettledState = Extract<PowerState, 'running' | 'stopped' | 'deallocated'>

const onTheWay: Readonly<Record<SettledState, PowerState>> = {
  running: 'starting',
  stopped: 'stopping',
  deallocated: 'deallocating',
}

/** A VM with a live SAS on one of its disks does not start (download-vhd page): the access must be revoked first. */
const refuseLiveAccess = (context: EmulatorContext, vm: VmRecord): void => {
  const open = disksOfVm(context, vm).find((disk) => accessIsLive(context, disk))
  if (open !== undefined)
    throw conflict(
      `Virtual machine '${vm.name}' cannot start: disk '${open.name}' has an active shared access signature. Call endGetAccess on it first.`,
    )
}

const changePower =
  (target: SettledState) =>
  (context: EmulatorContext, request: ArmRequest): ArmReply => {
    const vm = findRecord(context, 'virtualMachines', requestedId(request, 'virtualMachines', 'vmName'))
    if (request.query.get('hibernate') === 'true')
      throw operationNotAllowed(`Virtual machine '${vm.name}' is not enabled for hibernation.`)
    refuseWhileBusy(context, vm)
    if (target === 'running') refuseLiveAccess(context, vm)
    // A deallocated VM stays deallocated when it is told to power off.
    const reached = target === 'stopped' && vm.powerState === 'deallocated' ? 'deallocated' : target
    const operation = context.state.transaction(() => {
      const powerState = vm.powerState === reached ? reached : onTheWay[reached]
      context.state.put('virtualMachines', { ...vm, powerState, provisioningState: 'Updating' })
      return context.operations.begin(request, {
        action: 'changePower',
        service: 'compute',
        subscriptionId: request.params.subscriptionId ?? '',
        location: vm.location,
        resourceId: vm.id,
        input: { target: reached, before: vm.powerState },
      })
    })
    return accepted(context, request, operation, { status: 202, location: true, retryAfter: true })
  }

/** Takes a VM to a power state; the intermediate state shows meanwhile. */
export const changePowerAction: OperationAction = {
  work: async () => undefined,
  settle: (context, operation) => {
    const vm = context.state.get('virtualMachines', operation.resourceId)
    if (vm !== null)
      context.state.put('virtualMachines', {
        ...vm,
        powerState: operation.input.target as PowerState,
        provisioningState: 'Succeeded',
      })
    return undefined
  },
  undo: (context, operation) => {
    const vm = context.state.get('virtualMachines', operation.resourceId)
    if (vm !== null)
      context.state.put('virtualMachines', {
        ...vm,
        powerState: operation.input.before as PowerState,
        provisioningState: 'Failed',
      })
  },
}

const powerRoute = (name: string, segment: string, target: SettledState): Route => ({
  operation: `VirtualMachines_${name}`,
  method: 'POST',
  path: inGroup(`virtualMachines/{vmName}/${segment}`),
  service: 'compute',
  handle: changePower(target),
})

/** start, powerOff and deallocate. */
export const virtualMachinePowerRoutes: readonly Route[] = [
  powerRoute('Start', 'start', 'running'),
  powerRoute('PowerOff', 'powerOff', 'stopped'),
  powerRoute('Deallocate', 'deallocate', 'deallocated'),
]
