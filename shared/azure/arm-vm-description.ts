import type { ComputeManagementClient, DataDisk, Disk, OSDisk, VirtualMachine } from '@azure/arm-compute'
import { vmKeyOf } from '../domain/ids.ts'
import type { VmDescription, VmDisk } from '../domain/vm.ts'
import { askArm } from './arm-answers.ts'
import { thrownInstead } from './arm-error.ts'
import { configurationOf, type RawResource, rawOf } from './arm-vm-configuration.ts'
import { inParallel } from './in-parallel.ts'
import { parseResourceId } from './resource-id.ts'

/** Disks of one VM that are asked for at the same time. */
const diskLanes = 4

/** Everything that a backup and a later restore need to know of one VM: one GET of the VM and one of each disk.
 * @returns null where the VM does not exist or may not be read
 * @throws ArmError where the platform gives no clear answer */
export const describeVm = async (
  client: ComputeManagementClient,
  resourceGroup: string,
  name: string,
): Promise<VmDescription | null> => {
  const raw = rawOf()
  const answer = await askArm(() =>
    client.virtualMachines.get(resourceGroup, name, { expand: 'instanceView', onResponse: raw.keep }),
  )
  if (answer.kind === 'absent') return null
  if (answer.kind === 'failed' && answer.reason === 'not-authorized') return null
  if (answer.kind !== 'answered') throw thrownInstead(answer)
  const vm = answer.value
  const slots = await inParallel(slotsOf(vm), diskLanes, (slot) => describeSlot(client, slot))
  const osDisk = slots.find(({ slot }) => slot.disk === 'os')?.resource
  const vmId = vm.id ?? ''
  return {
    vmId,
    vmKey: vmKeyOf(vmId),
    name: vm.name ?? name,
    location: vm.location,
    resourceGroup: parseResourceId(vmId)?.resourceGroup ?? resourceGroup,
    osType: (vm.storageProfile?.osDisk?.osType ?? osDisk?.osType) === 'Windows' ? 'Windows' : 'Linux',
    hyperVGeneration: generationOf(vm.instanceView?.hyperVGeneration ?? osDisk?.hyperVGeneration),
    isRunning: isRunning(vm),
    tags: vm.tags ?? {},
    imageReference: imageOf(vm),
    disks: slots.flatMap((described) => ('found' in described ? [described.found] : [])),
    unsupported: slots.flatMap((described) =>
      'reason' in described ? [{ disk: described.slot.disk, reason: described.reason }] : [],
    ),
    configuration: configurationOf(
      raw.body,
      Object.fromEntries(slots.flatMap(({ slot, raw }) => (raw === null ? [] : [[slot.disk, raw] as const]))),
    ),
  }
}

interface Slot {
  readonly disk: string
  readonly attached: OSDisk | DataDisk
}

const slotsOf = (vm: VirtualMachine): Slot[] => {
  const { osDisk, dataDisks = [] } = vm.storageProfile ?? {}
  const data = [...dataDisks].sort((one, other) => one.lun - other.lun)
  return [
    ...(osDisk === undefined ? [] : [{ disk: 'os', attached: osDisk }]),
    ...data.map((attached) => ({ disk: `lun-${attached.lun}`, attached })),
  ]
}

type Described = { readonly slot: Slot; readonly resource: Disk | null; readonly raw: RawResource | null } & (
  | { readonly found: VmDisk }
  | { readonly reason: string }
)

const describeSlot = async (client: ComputeManagementClient, slot: Slot): Promise<Described> => {
  const { attached } = slot
  const without = (reason: string): Described => ({ slot, resource: null, raw: null, reason })
  if ('diffDiskSettings' in attached && attached.diffDiskSettings?.option === 'Local') return without('ephemeral')
  const id = parseResourceId(attached.managedDisk?.id ?? '')
  if (id?.kind !== 'disk') return without('unmanaged')
  const raw = rawOf()
  const answer = await askArm(() => client.disks.get(id.resourceGroup, id.name, { onResponse: raw.keep }))
  if (answer.kind === 'absent') return without('disk-not-found')
  if (answer.kind === 'failed') return without(answer.reason)
  if (answer.kind === 'pending') throw thrownInstead(answer)
  const resource = answer.value
  const reason = unsupportedBecause(resource)
  if (reason !== null) return { slot, resource, raw: raw.body, reason }
  return { slot, resource, raw: raw.body, found: diskOf(slot, resource) }
}

/** Why a managed disk cannot be backed up; null where it can. Shared disks: restore points do not support them. 4096-byte sectors:
 * snapshots of such disks are VHDX files. Entra-only access: a SAS alone does not open them. (Managed disks documentation:
 * restore points, incremental snapshots, secure upload and download.) */
const unsupportedBecause = (disk: Disk): string | null => {
  if ((disk.maxShares ?? 1) > 1) return 'shared'
  if (disk.creationData?.logicalSectorSize === 4096) return 'sector-size-4096'
  if (disk.dataAccessAuthMode === 'AzureActiveDirectory') return 'entra-only-access'
  if (disk.networkAccessPolicy === 'DenyAll') return 'export-denied'
  if (disk.diskSizeBytes === undefined || disk.uniqueId === undefined) return 'not-ready'
  return null
}

const diskOf = ({ disk, attached }: Slot, resource: Disk): VmDisk => ({
  disk,
  name: resource.name ?? attached.name ?? '',
  diskId: resource.id ?? '',
  uniqueId: resource.uniqueId ?? '',
  sizeBytes: resource.diskSizeBytes ?? 0,
  sku: resource.sku?.name ?? 'Standard_LRS',
  zones: resource.zones ?? [],
  caching: attached.caching ?? null,
})

/** A VM that starts or stops may still write; only one that is surely down counts as not running. */
const isRunning = (vm: VirtualMachine): boolean => {
  const codes = vm.instanceView?.statuses?.map(({ code }) => code?.toLowerCase() ?? '') ?? []
  const power = codes.find((code) => code.startsWith('powerstate/'))
  return power !== undefined && power !== 'powerstate/stopped' && power !== 'powerstate/deallocated'
}

const generationOf = (generation: string | undefined): 'V1' | 'V2' | null =>
  generation === 'V1' || generation === 'V2' ? generation : null

const imageOf = (vm: VirtualMachine): string | null => {
  const image = vm.storageProfile?.imageReference
  if (image === undefined) return null
  const named = [image.publisher, image.offer, image.sku, image.exactVersion ?? image.version]
  if (named.every((part) => part !== undefined)) return named.join(':')
  return image.id ?? image.sharedGalleryImageId ?? image.communityGalleryImageId ?? null
}
