import { createHash } from 'node:crypto'
import type { Fleet, FleetDisk, FleetVm } from '../fleet.ts'
import { type EmulatorContext, timestamp } from './emulator-context.ts'
import type { DiskRecord, VmRecord } from './records.ts'
import { computeId, idKey } from './resource-ids.ts'
import { saveScope } from './scopes.ts'
import { disksOfVm } from './vm-conflicts.ts'

/** Brings the state in line with the fleet file. What is there already keeps its ids and its power state; a VM whose entry
 * has changed follows the entry; a VM that has left the file is removed, its disks stay. Running it twice changes nothing. */
export const loadFleet = async (context: EmulatorContext, fleet: Fleet): Promise<void> => {
  saveScope(context.state, { subscriptionId: fleet.subscription, resourceGroups: fleet.resourceGroups })
  removeVanished(context, fleet)
  for (const vm of fleet.virtualMachines) {
    const id = vmIdOf(fleet, vm)
    for (const disk of vm.disks) await loadDisk(context, fleet, vm, disk)
    const digest = createHash('sha256')
      .update(JSON.stringify({ ...vm, disks: vm.disks.map(withoutSize) }))
      .digest('hex')
    const existing = context.state.get('virtualMachines', id)
    if (existing?.fleetDigest !== digest) replaceVm(context, fleet, vm, existing, digest)
  }
}

const withoutSize = ({ sizeBytes: _, ...disk }: FleetDisk): unknown => disk

const vmIdOf = (fleet: Fleet, vm: FleetVm): string =>
  computeId(fleet.subscription, vm.resourceGroup, 'virtualMachines', vm.name)

const diskIdOf = (fleet: Fleet, vm: FleetVm, disk: FleetDisk): string =>
  computeId(fleet.subscription, vm.resourceGroup, 'disks', disk.name)

const removeVanished = (context: EmulatorContext, fleet: Fleet): void => {
  const named = new Set(fleet.virtualMachines.map((vm) => idKey(vmIdOf(fleet, vm))))
  for (const vm of context.state.list('virtualMachines', '/subscriptions/'))
    if (vm.fleetDigest !== undefined && !named.has(idKey(vm.id)))
      context.state.transaction(() => {
        detach(context, disksOfVm(context, vm))
        context.state.remove('virtualMachines', vm.id)
      })
}

const detach = (context: EmulatorContext, disks: readonly DiskRecord[]): void => {
  for (const { managedBy: _, ...disk } of disks) context.state.put('disks', disk)
}

/** A disk's uniqueId follows from the fleet file, its name and how often it was deleted: a disk made anew under an old
 * name is another disk, as on Azure. */
const loadDisk = async (context: EmulatorContext, fleet: Fleet, vm: FleetVm, disk: FleetDisk): Promise<void> => {
  const id = diskIdOf(fleet, vm, disk)
  const existing = context.state.get('disks', id)
  const isSame = existing?.fleetImagePath === disk.imagePath
  const generation = Number(context.state.getFact(`generation ${id.toLowerCase()}`) ?? '0')
  const uniqueId =
    isSame && existing !== null
      ? existing.uniqueId
      : guidOf(`${fleet.path} ${id.toLowerCase()} ${disk.imagePath} ${generation}`)
  const contentId = `disk-${uniqueId}`
  const content = await context.disks.adoptRawImage(contentId, disk.imagePath)
  const record: DiskRecord = {
    ...(isSame && existing !== null ? existing : newDiskRecord(context, fleet, vm, disk)),
    contentId,
    uniqueId,
    familyId: content.familyId,
    sizeBytes: content.sizeBytes,
    managedBy: vmIdOf(fleet, vm),
  }
  if (JSON.stringify(record) !== JSON.stringify(existing)) context.state.put('disks', record)
}

const newDiskRecord = (context: EmulatorContext, fleet: Fleet, vm: FleetVm, disk: FleetDisk): DiskRecord => ({
  id: diskIdOf(fleet, vm, disk),
  name: disk.name,
  location: vm.location,
  timeCreated: timestamp(context.nowMs()),
  provisioningState: 'Succeeded',
  contentId: '',
  familyId: '',
  networkAccessPolicy: 'AllowAll',
  publicNetworkAccess: 'Enabled',
  uniqueId: '',
  sku: disk.sku,
  creationData:
    disk.lun === 'os' && vm.imageReference !== undefined
      ? { createOption: 'FromImage', imageReference: vm.imageReference }
      : { createOption: 'Empty' },
  uploading: false,
  ...(disk.lun === 'os' ? { osType: vm.osType, hyperVGeneration: vm.hyperVGeneration } : {}),
  extra: {},
  fleetImagePath: disk.imagePath,
})

const replaceVm = (
  context: EmulatorContext,
  fleet: Fleet,
  vm: FleetVm,
  existing: VmRecord | null,
  digest: string,
): void => {
  const id = vmIdOf(fleet, vm)
  const attached = vm.disks.map((disk) => ({ disk, diskId: diskIdOf(fleet, vm, disk), caching: disk.caching }))
  const os = attached.find(({ disk }) => disk.lun === 'os')
  if (os === undefined) throw new Error(`VM ${vm.name} has no operating system disk`)
  const kept = new Set(attached.map(({ diskId }) => idKey(diskId)))
  context.state.transaction(() => {
    if (existing !== null)
      detach(
        context,
        disksOfVm(context, existing).filter((disk) => !kept.has(idKey(disk.id))),
      )
    context.state.put('virtualMachines', {
      id,
      name: vm.name,
      location: vm.location,
      ...(vm.tags === undefined ? {} : { tags: vm.tags }),
      timeCreated: existing?.timeCreated ?? timestamp(context.nowMs()),
      provisioningState: existing?.provisioningState ?? 'Succeeded',
      vmId: existing?.vmId ?? guidOf(`${fleet.path} ${id.toLowerCase()}`),
      osType: vm.osType,
      vmSize: vm.size,
      hyperVGeneration: vm.hyperVGeneration,
      powerState: existing?.powerState ?? vm.powerState,
      osDisk: { diskId: os.diskId, caching: os.caching },
      dataDisks: attached.flatMap(({ disk, diskId, caching }) =>
        disk.lun === 'os' ? [] : [{ lun: disk.lun, diskId, caching }],
      ),
      ...(vm.imageReference === undefined ? {} : { imageReference: vm.imageReference }),
      fleetDigest: digest,
    })
  })
}

const guidOf = (text: string): string => {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
