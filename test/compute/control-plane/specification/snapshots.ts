import { open } from 'node:fs/promises'
import { join } from 'node:path'
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
  type World,
} from '../support.ts'

/** Snapshots_*: create, update, get, lists, delete, and what their bytes are. */
export const describeSnapshots = (world: () => World): void => {
  const snapshots = () => world().client.snapshots
  const copyOf = (disk: string) => ({ createOption: 'Copy', sourceResourceId: idOf('disks', disk) }) as const

  describe('an incremental snapshot', () => {
    it('names the family and the uniqueId of its disk, and is complete at once', async () => {
      follows(world(), 'Snapshot_GetIncrementalSnapshot')
      const disk = await world().client.disks.get(resourceGroup, 'linux-data-0')
      const make = (name: string) =>
        snapshots().createOrUpdate(
          resourceGroup,
          name,
          { location, incremental: true, creationData: copyOf('linux-data-0') },
          poll,
        )
      const first = await make('family-1')
      const second = await make('family-2')
      expect(await snapshots().get(resourceGroup, 'family-1')).toMatchObject({
        name: 'family-1',
        id: idOf('snapshots', 'family-1'),
        type: 'Microsoft.Compute/snapshots',
        incremental: true,
        creationData: { createOption: 'Copy', sourceResourceId: disk.id, sourceUniqueId: disk.uniqueId },
        diskSizeBytes: 4 * mib,
        diskSizeGB: 1,
        diskState: 'Unattached',
        completionPercent: 100,
        snapshotAccessState: 'Available',
        provisioningState: 'Succeeded',
        sku: { name: 'Standard_LRS' },
      })
      expect(first.incrementalSnapshotFamilyId).toBe(second.incrementalSnapshotFamilyId)
      expect(first.uniqueId).not.toBe(second.uniqueId)
      const other = await snapshots().createOrUpdate(
        resourceGroup,
        'family-other',
        { location, incremental: true, creationData: copyOf('linux-data-1') },
        poll,
      )
      expect(other.incrementalSnapshotFamilyId).not.toBe(first.incrementalSnapshotFamilyId)
      follows(world(), 'Snapshot_Delete')
      for (const name of ['family-1', 'family-2', 'family-other']) await snapshots().delete(resourceGroup, name, poll)
    })

    it('keeps the bytes of its moment while the disk goes on', async () => {
      const image = join(world().folder, 'linux-data-1.raw')
      await snapshots().createOrUpdate(
        resourceGroup,
        'moment',
        { location, incremental: true, creationData: copyOf('linux-data-1') },
        poll,
      )
      const file = await open(image, 'r+')
      await file.write('SECOND', 0)
      await file.close()
      followsPart(world(), 'Snapshot_BeginGetAccess', 'VHDX')
      const { accessSAS = '' } = await snapshots().grantAccess(
        resourceGroup,
        'moment',
        { access: 'Read', durationInSeconds: 300, fileFormat: 'VHD' },
        poll,
      )
      expect((await snapshots().get(resourceGroup, 'moment')).diskState).toBe('ActiveSAS')
      expect((await fetchSas(accessSAS, 'bytes=0-4')).text).toBe('first')
      follows(world(), 'Snapshot_EndGetAccess')
      await snapshots().revokeAccess(resourceGroup, 'moment', poll)
      expect((await snapshots().get(resourceGroup, 'moment')).diskState).toBe('Unattached')
      expect((await fetchSas(accessSAS)).status).toBe(403)
      await snapshots().delete(resourceGroup, 'moment', poll)
    })
  })

  describe('a full snapshot', () => {
    it('is made of a disk or of a snapshot, and belongs to no family', async () => {
      follows(world(), 'Snapshot_Create_FromAnExistingSnapshot', 'Snapshot_Get')
      const full = await snapshots().createOrUpdate(
        resourceGroup,
        'full',
        { location, creationData: copyOf('linux-os') },
        poll,
      )
      expect(full).toMatchObject({
        incremental: false,
        osType: 'Linux',
        hyperVGeneration: 'V2',
        diskSizeBytes: 4 * mib,
      })
      expect(full.incrementalSnapshotFamilyId).toBeUndefined()
      const copy = await snapshots().createOrUpdate(
        resourceGroup,
        'full-copy',
        { location, creationData: { createOption: 'Copy', sourceResourceId: full.id ?? '' } },
        poll,
      )
      expect(copy.creationData?.sourceUniqueId).toBe(full.uniqueId)
      for (const name of ['full', 'full-copy']) await snapshots().delete(resourceGroup, name, poll)
    })

    it('may be Empty, as recorded', async () => {
      const made = await snapshots().createOrUpdate(
        resourceGroup,
        'void',
        { location, creationData: { createOption: 'Empty' }, diskSizeGB: 1 },
        poll,
      )
      expect(made).toMatchObject({ incremental: false, diskSizeBytes: 1024 * mib, diskState: 'Unattached' })
      await snapshots().delete(resourceGroup, 'void', poll)
    })
  })

  it('changes tags of a snapshot, and lists snapshots of a resource group and of a subscription', async () => {
    followsPart(world(), 'Snapshot_Update', 'diskSizeGB')
    follows(world(), 'Snapshot_ListByResourceGroup', 'Snapshot_ListBySubscription')
    await snapshots().createOrUpdate(
      resourceGroup,
      'listed',
      { location, incremental: true, creationData: copyOf('linux-os') },
      poll,
    )
    const updated = await snapshots().update(resourceGroup, 'listed', { tags: { department: 'Development' } }, poll)
    expect(updated).toMatchObject({ tags: { department: 'Development' }, provisioningState: 'Succeeded' })
    expect((await all(snapshots().listByResourceGroup(resourceGroup))).map(({ name }) => name)).toEqual(['listed'])
    expect((await all(snapshots().list())).map(({ tags }) => tags)).toEqual([{ department: 'Development' }])
    await snapshots().delete(resourceGroup, 'listed', poll)
  })
}
