import type { ComputeManagementClient, VirtualMachine } from '@azure/arm-compute'
import type { VmDescription, VmSelection } from '../domain/vm.ts'
import type { IsWanted, VmInventory } from '../ports/compute.ts'
import { askArm } from './arm-answers.ts'
import type { ArmClients } from './arm-clients.ts'
import { ArmError, thrownInstead } from './arm-error.ts'
import { describeVm } from './arm-vm-description.ts'
import { inParallel } from './in-parallel.ts'
import { parseResourceId } from './resource-id.ts'

/** VMs of a page that are described at the same time. Each takes one GET of the VM and one of each disk; ARM refills 25 reads a second
 * (request limits and throttling). */
const vmLanes = 4

/** The VMs of Azure Resource Manager. A throttled listing throws ArmError `throttled`: the step that lists is repeated. */
export const createArmVmInventory = (clients: ArmClients): VmInventory => ({
  find: (vmId) => findVm(clients, vmId),
  select: (selection, isWanted) => selectVms(clients, selection, isWanted),
})

const findVm = async (clients: ArmClients, vmId: string): Promise<VmDescription | null> => {
  const resource = parseResourceId(vmId)
  if (resource?.kind !== 'virtualMachine') return null
  const client = clients.forSubscription(resource.subscriptionId)
  return describeVm(client, resource.resourceGroup, resource.name)
}

/** One VM that the platform cannot show must not keep those behind it from being backed up: they all come first, then it is told. */
async function* selectVms(
  clients: ArmClients,
  selection: VmSelection,
  isWanted: IsWanted = async () => true,
): AsyncGenerator<VmDescription> {
  const errors: unknown[] = []
  const describe = (vmId: string): Promise<VmDescription | null> =>
    findVm(clients, vmId).catch((error: unknown) => {
      if (!concernsOneVm(error)) throw error
      errors.push(error)
      return null
    })
  for (const subscriptionId of selection.subscriptionIds) {
    const client = clients.forSubscription(subscriptionId)
    for (const listing of listings(client, selection.resourceGroups))
      for await (const page of pagesOf(listing)) {
        const wanted = page.filter((vm) => hasTags(vm, selection.tags))
        const described = await inParallel(wanted, vmLanes, async ({ id = '' }) =>
          (await isWanted(id)) ? describe(id) : null,
        )
        // One that was removed since it was listed is none either.
        yield* described.filter((vm) => vm !== null)
      }
  }
  if (errors.length > 0) throw errors[0]
}

/** Throttling, a lost network and a missing token would meet every other VM as well, and asking on makes the first of them worse. */
const concernsOneVm = (error: unknown): boolean =>
  error instanceof ArmError && (error.fault.code === 'server-fault' || error.fault.code === 'refused')

type Listing = ReturnType<ComputeManagementClient['virtualMachines']['listAll']>

const listings = (client: ComputeManagementClient, resourceGroups: readonly string[] | undefined): Listing[] =>
  resourceGroups === undefined
    ? [client.virtualMachines.listAll()]
    : resourceGroups.map((name) => client.virtualMachines.list(name))

/** A resource group that does not exist holds no VM.
 * @throws ArmError where a page cannot be had: a selection must never be cut short in silence */
async function* pagesOf(listing: Listing): AsyncGenerator<VirtualMachine[]> {
  const pages = listing.byPage()
  for (;;) {
    const answer = await askArm(() => pages.next())
    if (answer.kind === 'absent') return
    if (answer.kind !== 'answered') throw thrownInstead(answer)
    if (answer.value.done) return
    yield answer.value.value
  }
}

/** Tag names compare without case, values with it, as Azure Resource Manager has it. */
const hasTags = (vm: VirtualMachine, wanted: Readonly<Record<string, string>> | undefined): boolean => {
  const own = new Map(Object.entries(vm.tags ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
  return Object.entries(wanted ?? {}).every(([name, value]) => own.get(name.toLowerCase()) === value)
}
