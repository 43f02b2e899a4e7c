import { conflict } from './arm-error.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { DiskRecord, RestorePointRecord, VmRecord } from './records.ts'

/** All disks of a VM that exist, the operating system's first. */
export const disksOfVm = (context: EmulatorContext, vm: VmRecord): DiskRecord[] =>
  [vm.osDisk, ...vm.dataDisks].map(({ diskId }) => context.state.get('disks', diskId)).filter((disk) => disk !== null)

/** All restore points of a VM, in whatever collection. */
export const restorePointsOfVm = (context: EmulatorContext, vmId: string): RestorePointRecord[] =>
  context.state.listBy('restorePoints', 'sourceVmId', vmId)

/** Refuses while the VM changes its power state or a restore point of it is being created. @throws ArmError 409 */
export const refuseWhileBusy = (context: EmulatorContext, vm: VmRecord): void => {
  if (vm.provisioningState !== 'Succeeded' && vm.provisioningState !== 'Failed')
    throw conflict(`Another operation on virtual machine '${vm.name}' is in progress. Wait until it has ended.`)
  const creating = restorePointsOfVm(context, vm.id).find((point) => point.provisioningState === 'Creating')
  if (creating !== undefined)
    throw conflict(`A restore point of virtual machine '${vm.name}' is being created: '${creating.name}'.`)
}
