import { describe, expect, it } from 'vitest'
import { follows, idOf, location, poll, refused, resourceGroup, slowly, type World } from '../support.ts'

const read = { access: 'Read', durationInSeconds: 300 } as const

/** beginGetAccess and endGetAccess: the recorded shapes, and who may open what. */
export const describeAccess = (world: () => World): void => {
  const disks = () => world().client.disks

  describe('access to a disk', () => {
    it('is answered as recorded: 202, empty, both headers, no Retry-After; then {accessSAS}, then nothing', async () =>
      slowly(world(), ['Disks_GrantAccess'], async () => {
        follows(world(), 'Disk_BeginGetAccess', 'Disk_EndGetAccess')
        const { send } = world()
        const url = `${idOf('disks', 'cold-os')}/beginGetAccess?api-version=2026-03-02`
        const begun = await send('POST', url, { body: read })
        expect({ status: begun.status, text: begun.text }).toEqual({ status: 202, text: '' })
        expect(begun.headers.get('retry-after')).toBeNull()
        expect(begun.headers.get('x-ms-ratelimit-remaining-resource')).toMatch(
          /^Microsoft\.Compute\/HighCostSnapshotCreateHydrate3Min;\d+,Microsoft\.Compute\/HighCostSnapshotCreateHydrate30Min;\d+$/,
        )
        const asyncUrl = new URL(begun.headers.get('azure-asyncoperation') ?? '')
        const monitorUrl = new URL(begun.headers.get('location') ?? '')
        expect(asyncUrl.pathname).toMatch(new RegExp(`/locations/${location}/DiskOperations/[0-9a-f-]{36}$`))
        expect(monitorUrl.pathname).toBe(asyncUrl.pathname)
        expect([asyncUrl.searchParams.get('monitor'), monitorUrl.searchParams.get('monitor')]).toEqual([null, 'true'])
        expect(asyncUrl.href.length).toBeGreaterThan(2500)
        expect(monitorUrl.href.length).toBeLessThan(4096)
        const under = await send('GET', monitorUrl.pathname + monitorUrl.search)
        expect({ status: under.status, text: under.text }).toEqual({ status: 202, text: '' })
        const running = await send('GET', asyncUrl.pathname + asyncUrl.search)
        expect(Object.keys(running.json)).toEqual(['startTime', 'status', 'name'])
        expect(running.json.status).toBe('InProgress')
        const done = async () => (await send('GET', asyncUrl.pathname + asyncUrl.search)).json
        await expect.poll(async () => (await done()).status, { timeout: 10_000 }).toBe('Succeeded')
        const status = await done()
        expect(Object.keys(status)).toEqual(['startTime', 'endTime', 'status', 'properties', 'name'])
        expect(Object.keys(status.properties.output)).toEqual(['accessSAS'])
        const final = await send('GET', monitorUrl.pathname + monitorUrl.search)
        expect(final.json).toEqual(status.properties.output)
        expect((await disks().get(resourceGroup, 'cold-os')).diskState).toBe('ActiveSAS')
        await disks().revokeAccess(resourceGroup, 'cold-os', poll)
        expect((await disks().get(resourceGroup, 'cold-os')).diskState).toBe('Reserved')
      }))

    it('of a running VM cannot be read', async () => {
      const call = disks().grantAccess(resourceGroup, 'linux-os', read, poll)
      await refused(world(), 'read SAS on a disk of a running VM', call, 409, 'Conflict')
    })

    it('keeps its VM from starting until it is revoked', async () => {
      const { virtualMachines } = world().client
      await disks().grantAccess(resourceGroup, 'cold-os', read, poll)
      const start = virtualMachines.start(resourceGroup, 'vm-cold', poll)
      await refused(world(), 'start of a VM with a live SAS on a disk', start, 409, 'Conflict')
      await disks().revokeAccess(resourceGroup, 'cold-os', poll)
      await virtualMachines.start(resourceGroup, 'vm-cold', poll)
      await virtualMachines.deallocate(resourceGroup, 'vm-cold', poll)
    })

    it('ends by itself when its time is over: the disk is then no longer ActiveSAS', async () => {
      await disks().grantAccess(resourceGroup, 'cold-os', read, poll)
      const { state } = world().emulator.context
      const disk = state.get('disks', idOf('disks', 'cold-os'))
      if (disk === null) throw new Error('no disk')
      state.put('disks', { ...disk, access: { level: 'Read', expiresAtMs: Date.now() - 1 } })
      expect((await disks().get(resourceGroup, 'cold-os')).diskState).toBe('Reserved')
      await disks().revokeAccess(resourceGroup, 'cold-os', poll)
    })

    it('has durations from 30 to 5,184,000 seconds and the formats of its disk', async () => {
      const grant = (data: object) => disks().grantAccess(resourceGroup, 'cold-os', { ...read, ...data }, poll)
      await refused(world(), 'durationInSeconds of 29', grant({ durationInSeconds: 29 }), 400, 'InvalidParameter')
      await refused(
        world(),
        'durationInSeconds of 5,184,001',
        grant({ durationInSeconds: 5_184_001 }),
        400,
        'InvalidParameter',
      )
      await refused(world(), 'durationInSeconds of 30.5', grant({ durationInSeconds: 30.5 }), 400, 'InvalidParameter')
      await refused(
        world(),
        'durationInSeconds left out',
        grant({ durationInSeconds: undefined }),
        400,
        'InvalidParameter',
      )
      await refused(world(), 'access of None', grant({ access: 'None' }), 400, 'InvalidParameter')
      await refused(world(), 'VHDX of a disk of 512-byte sectors', grant({ fileFormat: 'VHDX' }), 400, 'BadRequest')
      await refused(
        world(),
        'guest state SAS of an ordinary disk',
        grant({ getSecureVMGuestStateSAS: true }),
        400,
        'BadRequest',
      )
      await grant({ durationInSeconds: 30 })
      await grant({ durationInSeconds: 5_184_000 })
      await disks().revokeAccess(resourceGroup, 'cold-os', poll)
    })

    it('is for writing on upload disks only, and for reading on others only', async () => {
      const write = { access: 'Write', durationInSeconds: 300 } as const
      const call = disks().grantAccess(resourceGroup, 'cold-os', write, poll)
      await refused(world(), 'write SAS on a disk that is no upload', call, 409, 'OperationNotAllowed')
      const creationData = { createOption: 'Upload', uploadSizeBytes: 20 * 2 ** 20 + 512 } as const
      await disks().createOrUpdate(resourceGroup, 'for-access', { location, creationData }, poll)
      const reading = disks().grantAccess(resourceGroup, 'for-access', read, poll)
      await refused(world(), 'read SAS on a disk ready for upload', reading, 409, 'OperationNotAllowed')
      await disks().delete(resourceGroup, 'for-access', poll)
    })

    it('is refused where its networkAccessPolicy denies all', async () => {
      await disks().update(resourceGroup, 'cold-os', { networkAccessPolicy: 'DenyAll' }, poll)
      const call = disks().grantAccess(resourceGroup, 'cold-os', read, poll)
      await refused(world(), 'SAS on a disk with DenyAll', call, 409, 'OperationNotAllowed')
      await disks().update(resourceGroup, 'cold-os', { networkAccessPolicy: 'AllowAll' }, poll)
    })

    it('keeps the disk from being deleted and resized', async () => {
      const creationData = { createOption: 'Empty' } as const
      await disks().createOrUpdate(resourceGroup, 'open', { location, creationData, diskSizeGB: 1 }, poll)
      await disks().grantAccess(resourceGroup, 'open', read, poll)
      await refused(
        world(),
        'delete of a disk with a live SAS',
        disks().delete(resourceGroup, 'open', poll),
        409,
        'Conflict',
      )
      const resize = disks().update(resourceGroup, 'open', { diskSizeGB: 2 }, poll)
      await refused(world(), 'resize of a disk with a live SAS', resize, 409, 'Conflict')
      await disks().revokeAccess(resourceGroup, 'open', poll)
      await disks().delete(resourceGroup, 'open', poll)
    })
  })

  describe('access to snapshots of one family', () => {
    it('is live on five at once, no sixth, though one of the five may be extended', async () => {
      const { snapshots } = world().client
      const names = ['f1', 'f2', 'f3', 'f4', 'f5', 'f6']
      const creationData = { createOption: 'Copy', sourceResourceId: idOf('disks', 'windows-os') } as const
      for (const name of names)
        await snapshots.createOrUpdate(resourceGroup, name, { location, incremental: true, creationData }, poll)
      for (const name of names.slice(0, 5)) await snapshots.grantAccess(resourceGroup, name, read, poll)
      const sixth = () => snapshots.grantAccess(resourceGroup, 'f6', read, poll)
      await refused(world(), 'a sixth live SAS of a family', sixth(), 409, 'OperationNotAllowed')
      await snapshots.grantAccess(resourceGroup, 'f1', read, poll)
      await refused(
        world(),
        'delete of a snapshot with a live SAS',
        snapshots.delete(resourceGroup, 'f2', poll),
        409,
        'Conflict',
      )
      const write = snapshots.grantAccess(resourceGroup, 'f6', { ...read, access: 'Write' }, poll)
      await refused(world(), 'write SAS on a snapshot', write, 400, 'InvalidParameter')
      await snapshots.revokeAccess(resourceGroup, 'f1', poll)
      await sixth()
      for (const name of names) {
        await snapshots.revokeAccess(resourceGroup, name, poll)
        await snapshots.delete(resourceGroup, name, poll)
      }
    })
  })
}
