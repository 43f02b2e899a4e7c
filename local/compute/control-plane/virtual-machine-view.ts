import type { EmulatorContext } from './emulator-context.ts'
import type { AttachedDisk, VmRecord } from './records.ts'
import { nameOf } from './resource-ids.ts'

const gib = 2 ** 30

/** A size in whole GiB as the service shows it: rounded up, at least 1. The exact size is diskSizeBytes. */
export const sizeInGb = (sizeBytes: number): number => Math.max(1, Math.ceil(sizeBytes / gib))

interface ViewOptions {
  readonly instanceView?: boolean
  readonly userData?: boolean
}

/** A VM as GET and lists answer it. */
export const viewOfVm = (context: EmulatorContext, vm: VmRecord, options: ViewOptions = {}): unknown => ({
  name: vm.name,
  id: vm.id,
  type: 'Microsoft.Compute/virtualMachines',
  location: vm.location,
  ...(vm.tags === undefined ? {} : { tags: vm.tags }),
  ...(vm.plan === undefined ? {} : { plan: vm.plan }),
  properties: {
    hardwareProfile: { vmSize: vm.vmSize },
    provisioningState: vm.provisioningState,
    vmId: vm.vmId,
    storageProfile: storageProfile(context, vm),
    osProfile: osProfile(vm),
    networkProfile: { networkInterfaces: [] },
    timeCreated: vm.timeCreated,
    ...(options.userData === true && vm.userData !== undefined ? { userData: vm.userData } : {}),
    ...(options.instanceView === true ? { instanceView: instanceViewOf(context, vm) } : {}),
  },
})

/** Operating system and data disks of a VM, in the form of VM bodies; disk sizes are those of now. */
export const storageProfile = (context: EmulatorContext, vm: VmRecord): Record<string, unknown> => ({
  ...(vm.imageReference === undefined ? {} : { imageReference: vm.imageReference }),
  osDisk: {
    osType: vm.osType,
    ...diskEntry(context, vm.osDisk, vm.imageReference === undefined ? 'Attach' : 'FromImage'),
    deleteOption: 'Detach',
  },
  dataDisks: vm.dataDisks.map((disk) => ({
    lun: disk.lun,
    ...diskEntry(context, disk, 'Attach'),
    toBeDetached: false,
    deleteOption: 'Detach',
  })),
})

const diskEntry = (context: EmulatorContext, attached: AttachedDisk, createOption: string): Record<string, unknown> => {
  const disk = context.state.get('disks', attached.diskId)
  return {
    name: disk?.name ?? nameOf(attached.diskId),
    createOption,
    caching: attached.caching,
    managedDisk: { storageAccountType: disk?.sku ?? 'Premium_LRS', id: disk?.id ?? attached.diskId },
    ...(disk?.sizeBytes === undefined ? {} : { diskSizeGB: sizeInGb(disk.sizeBytes) }),
  }
}

/** The osProfile; no VM here has a password or a key. */
export const osProfile = (vm: VmRecord): Record<string, unknown> => ({
  computerName: vm.name,
  adminUsername: 'azureuser',
  ...(vm.osType === 'Linux'
    ? { linuxConfiguration: { disablePasswordAuthentication: true, provisionVMAgent: true } }
    : { windowsConfiguration: { provisionVMAgent: true, enableAutomaticUpdates: true } }),
  secrets: [],
  allowExtensionOperations: true,
  requireGuestProvisionSignal: true,
})

/** The run-time state of a VM: agent and guest only while it runs. */
export const instanceViewOf = (context: EmulatorContext, vm: VmRecord): Record<string, unknown> => {
  const time = vm.timeCreated
  const provisioned = {
    code: 'ProvisioningState/succeeded',
    level: 'Info',
    displayStatus: 'Provisioning succeeded',
    time,
  }
  const disks = [vm.osDisk, ...vm.dataDisks]
  return {
    ...(vm.powerState === 'running' ? guestView(vm, time) : {}),
    hyperVGeneration: vm.hyperVGeneration,
    disks: disks.map(({ diskId }) => ({
      name: context.state.get('disks', diskId)?.name ?? nameOf(diskId),
      statuses: [provisioned],
    })),
    statuses: [
      vm.provisioningState === 'Succeeded'
        ? provisioned
        : {
            code: `ProvisioningState/${vm.provisioningState.toLowerCase()}`,
            level: 'Info',
            displayStatus: vm.provisioningState,
          },
      { code: `PowerState/${vm.powerState}`, level: 'Info', displayStatus: `VM ${vm.powerState}` },
    ],
  }
}

const guestView = (vm: VmRecord, time: string): Record<string, unknown> => ({
  computerName: vm.name,
  osName: vm.osType === 'Linux' ? 'ubuntu' : 'Windows Server 2022 Datacenter',
  osVersion: vm.osType === 'Linux' ? '24.04' : 'Microsoft Windows NT 10.0.20348.0',
  vmAgent: {
    vmAgentVersion: vm.osType === 'Linux' ? '2.12.0.2' : '2.7.41491.1172',
    statuses: [
      {
        code: 'ProvisioningState/succeeded',
        level: 'Info',
        displayStatus: 'Ready',
        message: 'Guest Agent is running',
        time,
      },
    ],
    extensionHandlers: [],
  },
})
