import { describe, expect, it } from 'vitest'
import {
  all,
  fetchSas,
  follows,
  followsPart,
  idOf,
  location,
  mib,
  poll,
  resourceGroup,
  slowly,
  type World,
} from '../support.ts'

/** Restore point collections, restore points, disk restore points: from the VM to its bytes and back to a disk. */
export const describeRestorePoints = (world: () => World): void => {
  const collections = () => world().client.restorePointCollections
  const points = () => world().client.restorePoints
  const diskPoints = () => world().client.diskRestorePoint
  const vmId = (name: string): string => idOf('virtualMachines', name)
  const collectionFor = (name: string, vm: string) =>
    collections().createOrUpdate(resourceGroup, name, { location, source: { id: vmId(vm) } })

  describe('a restore point collection', () => {
    it('is made, found again, tagged, listed and deleted with its restore points', async () => {
      follows(world(), 'RestorePointCollection_Get')
      followsPart(world(), 'RestorePointCollection_CreateOrUpdate', 'instantAccess')
      const made = await collections().createOrUpdate(resourceGroup, 'rpc-life', {
        location,
        tags: { myTag1: 'tagValue1' },
        source: { id: vmId('vm-linux') },
      })
      expect(made).toMatchObject({
        name: 'rpc-life',
        id: idOf('restorePointCollections', 'rpc-life'),
        location,
        tags: { myTag1: 'tagValue1' },
        source: { id: vmId('vm-linux'), location },
        provisioningState: 'Succeeded',
      })
      expect(made.restorePointCollectionId).toMatch(/^[0-9a-f-]{36}$/)
      expect(await collections().get(resourceGroup, 'rpc-life')).toEqual(made)
      follows(world(), 'RestorePointCollection_Update_MinimumSet_Gen')
      expect(await collections().update(resourceGroup, 'rpc-life', {})).toEqual(made)
      followsPart(world(), 'RestorePointCollection_Update_MaximumSet_Gen', 'instantAccess')
      const tagged = await collections().update(resourceGroup, 'rpc-life', { tags: { key8536: 'a' } })
      expect(tagged).toEqual({ ...made, tags: { key8536: 'a' } })
      await points().create(resourceGroup, 'rpc-life', 'rp-1', {}, poll)
      follows(world(), 'RestorePointCollection_Get_WithContainedRestorePoints')
      const expanded = await collections().get(resourceGroup, 'rpc-life', { expand: 'restorePoints' })
      expect(expanded.restorePoints?.map(({ name, provisioningState }) => ({ name, provisioningState }))).toEqual([
        { name: 'rp-1', provisioningState: 'Succeeded' },
      ])
      follows(world(), 'RestorePointCollection_ListByResourceGroup', 'RestorePointCollection_ListBySubscription')
      expect((await all(collections().list(resourceGroup))).map(({ name }) => name)).toEqual(['rpc-life'])
      expect((await all(collections().listAll())).map(({ name }) => name)).toEqual(['rpc-life'])
      follows(world(), 'RestorePointCollection_Delete_MaximumSet_Gen')
      await collections().delete(resourceGroup, 'rpc-life', poll)
      expect(await all(collections().list(resourceGroup))).toEqual([])
      expect(world().emulator.context.state.list('diskRestorePoints', '/subscriptions/')).toEqual([])
    })

    it('answers 201 the first time and 200 after', async () => {
      const url = `${idOf('restorePointCollections', 'rpc-twice')}?api-version=2026-04-01`
      const body = { location, properties: { source: { id: vmId('vm-linux') } } }
      expect((await world().send('PUT', url, { body })).status).toBe(201)
      expect((await world().send('PUT', url, { body })).status).toBe(200)
      await collections().delete(resourceGroup, 'rpc-twice', poll)
    })
  })

  describe('a restore point', () => {
    it('holds every disk of the VM, its metadata, and the consistency that resulted', async () => {
      follows(world(), 'RestorePoint_Get', 'RestorePoint_Get_WithInstanceView')
      followsPart(world(), 'RestorePoint_Create', 'instantAccessDurationMinutes')
      await collectionFor('rpc', 'vm-linux')
      const made = await points().create(resourceGroup, 'rpc', 'rp-all', {}, poll)
      expect(made).toMatchObject({
        name: 'rp-all',
        id: idOf('restorePointCollections', 'rpc', 'restorePoints', 'rp-all'),
        provisioningState: 'Succeeded',
        consistencyMode: 'FileSystemConsistent',
        sourceMetadata: {
          location,
          hyperVGeneration: 'V2',
          hardwareProfile: { vmSize: 'Standard_D2s_v5' },
          osProfile: { computerName: 'vm-linux' },
        },
      })
      const { osDisk, dataDisks } = made.sourceMetadata?.storageProfile ?? {}
      const named = [osDisk, ...(dataDisks ?? [])].map((disk) => disk?.diskRestorePoint?.id ?? '')
      for (const [index, disk] of ['linux-os', 'linux-data-0', 'linux-data-1'].entries())
        expect(named[index]).toMatch(new RegExp(`/restorePoints/rp-all/diskRestorePoints/${disk}_[0-9a-f-]{36}$`))
      expect(made.timeCreated).toBeInstanceOf(Date)
      const expanded = await points().get(resourceGroup, 'rpc', 'rp-all', { expand: 'instanceView' })
      expect(expanded.instanceView?.statuses?.[0]?.code).toBe('ReplicationState/succeeded')
      expect(expanded.instanceView?.diskRestorePoints?.map(({ id }) => id)).toEqual(named)
      expect(expanded.instanceView?.diskRestorePoints?.[0]?.replicationStatus).toMatchObject({ completionPercent: 100 })
    })

    it('is Creating first, without consistency and disk restore points, with metadata, and no Location', async () =>
      slowly(world(), ['RestorePoints_Create'], async () => {
        const url = `${idOf('restorePointCollections', 'rpc', 'restorePoints', 'rp-wire')}?api-version=2026-04-01`
        const answer = await world().send('PUT', url, { body: {} })
        expect(answer.status).toBe(201)
        expect(answer.headers.get('location')).toBeNull()
        expect(answer.headers.get('retry-after')).toBeNull()
        expect(answer.headers.get('azure-asyncoperation')).toMatch(
          new RegExp(
            `/providers/Microsoft.Compute/locations/${location}/operations/[0-9a-f-]{36}\\?p=[0-9a-f-]{36}&api-version=2026-04-01$`,
          ),
        )
        expect(answer.json.properties.provisioningState).toBe('Creating')
        expect(answer.json.properties.consistencyMode).toBeUndefined()
        expect(answer.json.properties.sourceMetadata.storageProfile.osDisk.name).toBe('linux-os')
        expect(answer.text).not.toContain('diskRestorePoint')
        await expect
          .poll(async () => (await points().get(resourceGroup, 'rpc', 'rp-wire')).provisioningState, {
            timeout: 10_000,
          })
          .toBe('Succeeded')
      }))

    it('leaves excluded disks out of its metadata and its bytes', async () => {
      const excludeDisks = [{ id: idOf('disks', 'linux-data-0') }]
      const made = await points().create(resourceGroup, 'rpc', 'rp-part', { excludeDisks }, poll)
      expect(made.excludeDisks).toEqual(excludeDisks)
      expect(made.sourceMetadata?.storageProfile?.dataDisks?.map(({ name }) => name)).toEqual(['linux-data-1'])
      const disks = await all(diskPoints().listByRestorePoint(resourceGroup, 'rpc', 'rp-part'))
      expect(disks.map(({ sourceResourceId }) => sourceResourceId)).toEqual([
        idOf('disks', 'linux-data-1'),
        idOf('disks', 'linux-os'),
      ])
    })

    it.each([
      ['a running Linux VM', 'vm-linux', undefined, 'FileSystemConsistent'],
      ['a running Windows VM', 'vm-windows', undefined, 'ApplicationConsistent'],
      ['a VM asked for CrashConsistent', 'vm-windows', 'CrashConsistent', 'CrashConsistent'],
      ['a deallocated VM', 'vm-cold', undefined, 'CrashConsistent'],
    ] as const)('of %s is as consistent as can be', async (_, vm, consistencyMode, expected) => {
      const name = `rpc-${expected.slice(0, 4)}-${vm}`
      await collectionFor(name, vm)
      const wish = consistencyMode === undefined ? {} : { consistencyMode }
      const made = await points().create(resourceGroup, name, 'rp', wish, poll)
      expect(made.consistencyMode).toBe(expected)
      await collections().delete(resourceGroup, name, poll)
    })

    it('of a Windows VM falls back to the file system when VSS fails, for the next three too', async () => {
      await collectionFor('rpc-vss', 'vm-windows')
      world().emulator.context.faults.add({ operation: 'RestorePoints_Create', vssWriterFailure: true })
      const modes: (string | undefined)[] = []
      for (const name of ['rp-1', 'rp-2', 'rp-3', 'rp-4', 'rp-5'])
        modes.push((await points().create(resourceGroup, 'rpc-vss', name, {}, poll)).consistencyMode)
      const fallback = 'FileSystemConsistent'
      expect(modes).toEqual([fallback, fallback, fallback, fallback, 'ApplicationConsistent'])
      await collections().delete(resourceGroup, 'rpc-vss', poll)
    })
  })

  describe('a disk restore point', () => {
    it('names its disk, uniqueId and family, and has no size', async () => {
      follows(world(), 'DiskRestorePoint_Get', 'DiskRestorePoint_ListByVmRestorePoint')
      const disk = await world().client.disks.get(resourceGroup, 'linux-data-0')
      const [first, second] = await Promise.all(
        ['rp-all', 'rp-wire'].map(async (point) => {
          const found = await all(diskPoints().listByRestorePoint(resourceGroup, 'rpc', point))
          return found.find(({ sourceUniqueId }) => sourceUniqueId === disk.uniqueId)
        }),
      )
      expect(first?.familyId).toBe(second?.familyId)
      const got = await diskPoints().get(resourceGroup, 'rpc', 'rp-all', first?.name ?? '')
      expect(got).toEqual(first)
      expect(got).toMatchObject({
        sourceResourceId: disk.id,
        networkAccessPolicy: 'AllowAll',
        snapshotAccessState: 'Available',
      })
      expect(got).not.toHaveProperty('diskSizeBytes')
    })

    it('is read through a SAS with the footer in its length; a second grant extends and gives the same URL', async () => {
      follows(world(), 'DiskRestorePoint_EndGetAccess')
      followsPart(world(), 'DiskRestorePoint_BeginGetAccess', 'VHDX')
      const [disk] = await all(diskPoints().listByRestorePoint(resourceGroup, 'rpc', 'rp-part'))
      const name = disk?.name ?? ''
      const grant = (durationInSeconds: number) =>
        diskPoints().grantAccess(resourceGroup, 'rpc', 'rp-part', name, { access: 'Read', durationInSeconds }, poll)
      const { accessSAS = '' } = await grant(300)
      const expiry = () =>
        world().emulator.context.state.get('diskRestorePoints', disk?.id ?? '')?.access?.expiresAtMs ?? 0
      const before = expiry()
      expect((await grant(3000)).accessSAS).toBe(accessSAS)
      expect(expiry()).toBeGreaterThan(before + 2_000_000)
      const answer = await fetchSas(accessSAS, 'bytes=0-10')
      expect(answer.status).toBe(206)
      expect(answer.headers.get('content-range')).toBe(`bytes 0-10/${4 * mib + 512}`)
      await diskPoints().revokeAccess(resourceGroup, 'rpc', 'rp-part', name, poll)
      expect((await fetchSas(accessSAS)).status).toBe(403)
      await diskPoints().revokeAccess(resourceGroup, 'rpc', 'rp-part', name, poll)
    })

    it('becomes a disk again by Restore, with its operating system', async () => {
      const found = await all(diskPoints().listByRestorePoint(resourceGroup, 'rpc', 'rp-part'))
      const os = found.find(({ osType }) => osType === 'Linux')
      const made = await world().client.disks.createOrUpdate(
        resourceGroup,
        'restored-os',
        { location, creationData: { createOption: 'Restore', sourceResourceId: os?.id ?? '' } },
        poll,
      )
      expect(made).toMatchObject({
        osType: 'Linux',
        hyperVGeneration: 'V2',
        diskSizeBytes: 4 * mib,
        diskState: 'Unattached',
      })
      await world().client.disks.delete(resourceGroup, 'restored-os', poll)
    })

    it('goes with its restore point', async () => {
      follows(world(), 'RestorePoint_Delete_MaximumSet_Gen')
      await points().delete(resourceGroup, 'rpc', 'rp-all', poll)
      expect((await all(collections().list(resourceGroup))).length).toBe(1)
      await points().delete(resourceGroup, 'rpc', 'rp-all', poll)
      await collections().delete(resourceGroup, 'rpc', poll)
    })
  })
}
