import type { ComputeManagementClient } from '@azure/arm-compute'
import type { ArmClients } from './arm-clients.ts'
import { parseResourceId } from './resource-id.ts'

/** Where the restore points of one VM lie. */
export interface RestorePointScope {
  readonly client: ComputeManagementClient
  readonly resourceGroup: string
  readonly collection: string
}

/** @returns null where `vmId` is not the id of a VM */
export const scopeOf = (
  clients: ArmClients,
  vm: { readonly vmId: string; readonly vmKey: string },
): RestorePointScope | null => {
  const resource = parseResourceId(vm.vmId)
  if (resource?.kind !== 'virtualMachine') return null
  return {
    client: clients.forSubscription(resource.subscriptionId),
    resourceGroup: resource.resourceGroup,
    collection: `deltavault-${vm.vmKey}`,
  }
}
