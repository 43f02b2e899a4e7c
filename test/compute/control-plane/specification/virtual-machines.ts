import { describe, expect, it } from 'vitest'
import { all, follows, idOf, location, mib, poll, resourceGroup, slowly, type World } from '../support.ts'

/** VirtualMachines_*: get, lists, instance view, power, create by attaching disks, delete. */
export const describeVirtualMachines = (world: () => World): void => {
  describe('a virtual machine', () => {
    it('is got with its disks, sizes and vmId', async () => {
      follows(world(), 'VirtualMachine_Get_WithDiskControllerType')
      const vm = await world().client.virtualMachines.get(resourceGroup, 'vm-linux')
      expect(vm).toMatchObject({
        name: 'vm-linux',
        id: idOf('virtualMachines', 'vm-linux'),
        type: 'Microsoft.Compute/virtualMachines',
        location,
        tags: { policy: 'daily' },
        provisioningState: 'Succeeded',
        hardwareProfile: { vmSize: 'Standard_D2s_v5' },
        storageProfile: {
          imageReference: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' },
          osDisk: {
            osType: 'Linux',
            name: 'linux-os',
            createOption: 'FromImage',
            caching: 'ReadWrite',
            managedDisk: { id: idOf('disks', 'linux-os'), storageAccountType: 'Premium_LRS' },
            diskSizeGB: 1,
          },
          dataDisks: [
            {
              lun: 0,
              name: 'linux-data-0',
              createOption: 'Attach',
              managedDisk: { id: idOf('disks', 'linux-data-0') },
            },
            {
              lun: 1,
              name: 'linux-data-1',
              createOption: 'Attach',
              managedDisk: { id: idOf('disks', 'linux-data-1') },
            },
          ],
        },
      })
      expect(vm.vmId).toMatch(/^[0-9a-f-]{36}$/)
      expect(vm.instanceView).toBeUndefined()
    })

    it('shows its run-time state when instanceView is expanded, and by itself', async () => {
      follows(world(), 'VirtualMachine_Get_InstanceView')
      const expanded = await world().client.virtualMachines.get(resourceGroup, 'vm-windows', { expand: 'instanceView' })
      const view = await world().client.virtualMachines.instanceView(resourceGroup, 'vm-windows')
      expect(view).toEqual(expanded.instanceView)
      expect(view.statuses?.map(({ code }) => code)).toEqual(['ProvisioningState/succeeded', 'PowerState/running'])
      expect(view.vmAgent?.statuses?.[0]).toMatchObject({ code: 'ProvisioningState/succeeded', displayStatus: 'Ready' })
      expect(view.hyperVGeneration).toBe('V2')
      expect(view.disks?.map(({ name }) => name)).toEqual(['windows-os'])
    })

    it('has no agent while it is deallocated', async () => {
      const view = await world().client.virtualMachines.instanceView(resourceGroup, 'vm-cold')
      expect(view.statuses?.at(-1)).toMatchObject({ code: 'PowerState/deallocated', displayStatus: 'VM deallocated' })
      expect(view.vmAgent).toBeUndefined()
    })

    it('goes through starting to running, and through deallocating to deallocated', async () =>
      slowly(world(), ['VirtualMachines_Start', 'VirtualMachines_Deallocate'], async () => {
        const { virtualMachines } = world().client
        const stateOf = async () =>
          (await virtualMachines.instanceView(resourceGroup, 'vm-cold')).statuses?.at(-1)?.code?.split('/')[1]
        follows(world(), 'VirtualMachine_Start_MaximumSet_Gen')
        const starting = virtualMachines.start(resourceGroup, 'vm-cold', poll)
        await starting.submitted()
        expect(await stateOf()).toBe('starting')
        await starting
        expect(await stateOf()).toBe('running')
        follows(world(), 'VirtualMachine_Deallocate_MinimumSet_Gen')
        const deallocating = virtualMachines.deallocate(resourceGroup, 'vm-cold', poll)
        await deallocating.submitted()
        expect(await stateOf()).toBe('deallocating')
        await deallocating
        expect(await stateOf()).toBe('deallocated')
      }))

    it('powers off to stopped, still attached to its disks, and starts again', async () => {
      const { virtualMachines, disks } = world().client
      follows(world(), 'VirtualMachine_PowerOff_MinimumSet_Gen')
      await virtualMachines.powerOff(resourceGroup, 'vm-windows', poll)
      const view = await virtualMachines.instanceView(resourceGroup, 'vm-windows')
      expect(view.statuses?.at(-1)?.code).toBe('PowerState/stopped')
      expect((await disks.get(resourceGroup, 'windows-os')).diskState).toBe('Attached')
      await virtualMachines.start(resourceGroup, 'vm-windows', poll)
    })

    it('is made of existing disks, and gives them back when it is deleted', async () => {
      const { disks, virtualMachines } = world().client
      const source = { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-os') } as const
      await disks.createOrUpdate(resourceGroup, 'attached-os', { location, creationData: source }, poll)
      await disks.createOrUpdate(
        resourceGroup,
        'attached-data',
        { location, creationData: { createOption: 'Empty' }, diskSizeGB: 1 },
        poll,
      )
      const made = await virtualMachines.createOrUpdate(
        resourceGroup,
        'vm-restored',
        {
          location,
          hardwareProfile: { vmSize: 'Standard_D2s_v5' },
          storageProfile: {
            osDisk: { osType: 'Linux', createOption: 'Attach', managedDisk: { id: idOf('disks', 'attached-os') } },
            dataDisks: [{ lun: 3, createOption: 'Attach', managedDisk: { id: idOf('disks', 'attached-data') } }],
          },
        },
        poll,
      )
      expect(made).toMatchObject({ provisioningState: 'Succeeded', name: 'vm-restored' })
      expect(await disks.get(resourceGroup, 'attached-data')).toMatchObject({
        managedBy: idOf('virtualMachines', 'vm-restored'),
        diskState: 'Attached',
      })
      await virtualMachines.delete(resourceGroup, 'vm-restored', poll)
      expect(await disks.get(resourceGroup, 'attached-os')).toMatchObject({
        diskState: 'Unattached',
        diskSizeBytes: 4 * mib,
      })
      await disks.delete(resourceGroup, 'attached-os', poll)
      await disks.delete(resourceGroup, 'attached-data', poll)
    })
  })

  describe('the lists of virtual machines', () => {
    it('come in pages of the size set, of a resource group and of a subscription, nothing twice', async () => {
      const { emulator, client } = world()
      follows(world(), 'VirtualMachine_List_MinimumSet_Gen', 'VirtualMachine_ListAll_MinimumSet_Gen')
      emulator.context.changeSettings({ ...emulator.context.settings(), pageSize: 2 })
      const pages = await all(client.virtualMachines.list(resourceGroup).byPage())
      expect(pages.map((page) => page.map(({ name }) => name))).toEqual([['vm-cold', 'vm-linux'], ['vm-windows']])
      const names = (await all(client.virtualMachines.listAll())).map(({ name }) => name)
      expect(names).toEqual(['vm-cold', 'vm-linux', 'vm-windows'])
      emulator.context.changeSettings({ ...emulator.context.settings(), pageSize: 100 })
    })

    it('carry the run-time state with statusOnly or $expand', async () => {
      const { client } = world()
      const status = await all(client.virtualMachines.listAll({ statusOnly: 'true' }))
      const expanded = await all(client.virtualMachines.list(resourceGroup, { expand: 'instanceView' }))
      const power = (vms: typeof status) => vms.map((vm) => vm.instanceView?.statuses?.at(-1)?.code)
      expect(power(status)).toEqual(['PowerState/deallocated', 'PowerState/running', 'PowerState/running'])
      expect(power(expanded)).toEqual(power(status))
    })
  })
}
