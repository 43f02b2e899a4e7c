// Lists the VMs of a subscription as an Azure program would: nothing here knows that the endpoint is local.
import { ComputeManagementClient } from '@azure/arm-compute'
import { DefaultAzureCredential } from '@azure/identity'

const [, , endpoint = '', subscriptionId = ''] = process.argv
const client = new ComputeManagementClient(new DefaultAzureCredential(), subscriptionId, { endpoint })
const names: (string | undefined)[] = []
for await (const vm of client.virtualMachines.listAll()) names.push(vm.name)
console.log(JSON.stringify(names))
