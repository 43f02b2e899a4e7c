import { describe, expect, it } from 'vitest'
import {
  all,
  fetchSas,
  follows,
  followsPart,
  footerOf,
  idOf,
  location,
  mib,
  poll,
  putPage,
  resourceGroup,
  type World,
} from '../support.ts'

/** Disks_*: create in its four ways, update, get, lists, delete. */
export const describeDisks = (world: () => World): void => {
  const disks = () => world().client.disks

  describe('a disk', () => {
    it('made Empty is Unattached, with exact bytes and a uniqueId', async () => {
      follows(world(), 'Disk_Create_Empty')
      const made = await disks().createOrUpdate(
        resourceGroup,
        'empty',
        { location: 'West Europe', creationData: { createOption: 'Empty' }, diskSizeGB: 2, tags: { a: 'b' } },
        poll,
      )
      expect(made).toMatchObject({
        name: 'empty',
        id: idOf('disks', 'empty'),
        location,
        tags: { a: 'b' },
        sku: { name: 'Standard_LRS' },
        creationData: { createOption: 'Empty' },
        diskSizeGB: 2,
        diskSizeBytes: 2 * 1024 * mib,
        diskState: 'Unattached',
        provisioningState: 'Succeeded',
        encryption: { type: 'EncryptionAtRestWithPlatformKey' },
      })
      expect(made.uniqueId).toMatch(/^[0-9a-f-]{36}$/)
      await disks().delete(resourceGroup, 'empty', poll)
    })

    it('of the fleet is attached to its VM and has the bytes of its file, not of whole GiB', async () => {
      follows(world(), 'Disk_Get')
      expect(await disks().get(resourceGroup, 'LINUX-OS')).toMatchObject({
        name: 'linux-os',
        managedBy: idOf('virtualMachines', 'vm-linux'),
        osType: 'Linux',
        hyperVGeneration: 'V2',
        diskState: 'Attached',
        diskSizeGB: 1,
        diskSizeBytes: 4 * mib,
      })
      expect((await disks().get(resourceGroup, 'cold-os')).diskState).toBe('Reserved')
    })

    it('is copied from a disk and from a snapshot, with the source named by its uniqueId', async () => {
      follows(world(), 'Disk_Create_FromAnExistingManagedDisk', 'Disk_Create_ByCopyingASnapshot')
      const { client } = world()
      const source = await disks().get(resourceGroup, 'linux-data-0')
      const copy = await disks().createOrUpdate(
        resourceGroup,
        'copied',
        { location, creationData: { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-data-0') } },
        poll,
      )
      expect(copy).toMatchObject({ creationData: { sourceUniqueId: source.uniqueId }, diskSizeBytes: 4 * mib })
      expect(copy.uniqueId).not.toBe(source.uniqueId)
      await client.snapshots.createOrUpdate(
        resourceGroup,
        'to-copy',
        {
          location,
          incremental: true,
          creationData: { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-data-0') },
        },
        poll,
      )
      // The examples leave the leading slash of the source's id out.
      const fromSnapshot = await disks().createOrUpdate(
        resourceGroup,
        'from-snapshot',
        {
          location,
          creationData: { createOption: 'Copy', sourceResourceId: idOf('snapshots', 'to-copy').slice(1) },
          diskSizeGB: 3,
        },
        poll,
      )
      expect(fromSnapshot.diskSizeBytes).toBe(3 * 1024 * mib)
      for (const name of ['copied', 'from-snapshot']) await disks().delete(resourceGroup, name, poll)
      await client.snapshots.delete(resourceGroup, 'to-copy', poll)
    })

    it('takes an upload: ReadyToUpload without a size, ActiveUpload, then Unattached with one', async () => {
      follows(world(), 'Disk_Create_UploadDisk')
      const bytes = 24 * mib
      const made = await disks().createOrUpdate(
        resourceGroup,
        'uploaded',
        {
          location,
          osType: 'Linux',
          hyperVGeneration: 'V2',
          creationData: { createOption: 'Upload', uploadSizeBytes: bytes + 512 },
        },
        poll,
      )
      expect(made).toMatchObject({ diskState: 'ReadyToUpload', creationData: { uploadSizeBytes: bytes + 512 } })
      expect(made.diskSizeGB).toBeUndefined()
      expect(made.diskSizeBytes).toBeUndefined()
      const { accessSAS = '' } = await disks().grantAccess(
        resourceGroup,
        'uploaded',
        { access: 'Write', durationInSeconds: 600 },
        poll,
      )
      expect((await disks().get(resourceGroup, 'uploaded')).diskState).toBe('ActiveUpload')
      expect(await putPage(accessSAS, 4096, Buffer.alloc(512, 7))).toBe(201)
      expect(await putPage(accessSAS, bytes, footerOf(bytes))).toBe(201)
      await disks().revokeAccess(resourceGroup, 'uploaded', poll)
      expect(await disks().get(resourceGroup, 'uploaded')).toMatchObject({
        diskState: 'Unattached',
        diskSizeGB: 1,
        diskSizeBytes: bytes,
        osType: 'Linux',
        hyperVGeneration: 'V2',
      })
      expect((await fetchSas(accessSAS)).status).toBe(403)
      await disks().delete(resourceGroup, 'uploaded', poll)
    })

    it('whose upload has no footer stays ReadyToUpload: ending the access fails, and can be done again', async () => {
      await disks().createOrUpdate(
        resourceGroup,
        'no-footer',
        { location, creationData: { createOption: 'Upload', uploadSizeBytes: 20 * mib + 512 } },
        poll,
      )
      const write = { access: 'Write', durationInSeconds: 600 } as const
      await disks().grantAccess(resourceGroup, 'no-footer', write, poll)
      await expect(disks().revokeAccess(resourceGroup, 'no-footer', poll)).rejects.toThrow(/BadRequest/)
      expect((await disks().get(resourceGroup, 'no-footer')).diskState).toBe('ReadyToUpload')
      const { accessSAS = '' } = await disks().grantAccess(resourceGroup, 'no-footer', write, poll)
      await putPage(accessSAS, 20 * mib, footerOf(20 * mib))
      await disks().revokeAccess(resourceGroup, 'no-footer', poll)
      expect((await disks().get(resourceGroup, 'no-footer')).diskState).toBe('Unattached')
      await disks().delete(resourceGroup, 'no-footer', poll)
    })

    it('changes tags, tier and purchase plan, and grows, by PATCH and by PUT', async () => {
      follows(world(), 'Disk_Update_AddPurchasePlan')
      followsPart(world(), 'Disk_Update_ChangeTier', 'propertyUpdatesInProgress')
      const creationData = { createOption: 'Empty' } as const
      await disks().createOrUpdate(resourceGroup, 'changing', { location, creationData, diskSizeGB: 1 }, poll)
      const purchasePlan = { name: 'plan', publisher: 'someone', product: 'thing' }
      const patched = await disks().update(
        resourceGroup,
        'changing',
        { tags: { x: 'y' }, tier: 'P30', purchasePlan, diskSizeGB: 2 },
        poll,
      )
      expect(patched).toMatchObject({
        tags: { x: 'y' },
        tier: 'P30',
        purchasePlan,
        diskSizeGB: 2,
        diskSizeBytes: 2 * 1024 * mib,
        provisioningState: 'Succeeded',
      })
      const put = await disks().createOrUpdate(
        resourceGroup,
        'changing',
        { location, creationData, diskSizeGB: 3, tags: {} },
        poll,
      )
      expect(put).toMatchObject({ tags: {}, tier: 'P30', diskSizeGB: 3, uniqueId: patched.uniqueId })
      await disks().delete(resourceGroup, 'changing', poll)
    })

    it('made anew under an old name is another disk', async () => {
      const make = () =>
        disks().createOrUpdate(
          resourceGroup,
          'again',
          { location, creationData: { createOption: 'Empty' }, diskSizeGB: 1 },
          poll,
        )
      const first = await make()
      follows(world(), 'Disk_Delete')
      await disks().delete(resourceGroup, 'again', poll)
      const second = await make()
      expect(second.uniqueId).not.toBe(first.uniqueId)
      await disks().delete(resourceGroup, 'again', poll)
    })

    it('that is not there is deleted with 204', async () => {
      await disks().delete(resourceGroup, 'never-was', poll)
      expect((await world().send('DELETE', `${idOf('disks', 'never-was')}?api-version=2026-03-02`)).status).toBe(204)
    })
  })

  it('lists disks of a resource group and of a subscription', async () => {
    follows(world(), 'Disk_ListByResourceGroup', 'Disk_ListBySubscription')
    const names = (await all(disks().listByResourceGroup(resourceGroup))).map(({ name }) => name)
    expect(names).toEqual(['cold-os', 'linux-data-0', 'linux-data-1', 'linux-os', 'windows-os'])
    expect((await all(disks().list())).map(({ name }) => name)).toEqual(names)
  })
}
