import { describe, expect, it } from 'vitest'
import {
  all,
  idOf,
  location,
  poll,
  refused,
  refusedAnswer,
  resourceGroup,
  slowly,
  subscriptionId,
  type World,
} from '../support.ts'

const compute = 'api-version=2026-04-01'
const disk = 'api-version=2026-03-02'

/** What is refused, with the codes of Azure Resource Manager. */
export const describeRefusals = (world: () => World): void => {
  const client = () => world().client
  const vmPath = () => idOf('virtualMachines', 'vm-linux')

  describe('a request without the right to be heard', () => {
    it('has no token, a forged one or an expired one', async () => {
      const { send } = world()
      const get = (authorization: string | null) => send('GET', `${vmPath()}?${compute}`, { authorization })
      const bare = await get(null)
      refusedAnswer(world(), 'no bearer token', bare, 401, 'AuthenticationFailed')
      expect(bare.headers.get('www-authenticate')).toMatch(/^Bearer /)
      refusedAnswer(world(), 'another scheme than Bearer', await get('Basic YTpi'), 401, 'AuthenticationFailed')
      refusedAnswer(world(), 'a forged token', await get('Bearer a.b.c'), 401, 'InvalidAuthenticationToken')
      const strange = await get(`Bearer a.b.${'\u00e9'.repeat(43)}`)
      refusedAnswer(world(), 'a token of other letters', strange, 401, 'InvalidAuthenticationToken')
    })

    it('lacks its api-version, or names an unknown one', async () => {
      const { send } = world()
      const code = 'MissingApiVersionParameter'
      refusedAnswer(world(), 'api-version left out', await send('GET', vmPath()), 400, code)
      const strange = await send('GET', `${vmPath()}?api-version=latest`)
      refusedAnswer(world(), 'api-version that is no date', strange, 400, 'InvalidApiVersionParameter')
      const old = await send('GET', `${vmPath()}?api-version=2019-03-01`)
      refusedAnswer(world(), 'api-version that is not served', old, 400, 'NoRegisteredProviderFound')
      const crossed = await send('GET', `${idOf('disks', 'linux-os')}?${compute}`)
      refusedAnswer(world(), 'compute api-version on a disk', crossed, 400, 'NoRegisteredProviderFound')
    })
  })

  describe('a place that does not exist', () => {
    it('is a subscription, a resource group, a resource, its parent, a type or an operation', async () => {
      const { send } = world()
      const other = '11111111-1111-4111-8111-111111111111'
      const listOf = (id: string) =>
        send('GET', `/subscriptions/${id}/providers/Microsoft.Compute/virtualMachines?${compute}`)
      refusedAnswer(world(), 'unknown subscription', await listOf(other), 404, 'SubscriptionNotFound')
      refusedAnswer(world(), 'subscription id that is no GUID', await listOf('mine'), 400, 'InvalidSubscriptionId')
      const groupless = client().virtualMachines.get('rg-none', 'vm-linux')
      await refused(world(), 'unknown resource group', groupless, 404, 'ResourceGroupNotFound')
      const notFound = 'ResourceNotFound'
      await refused(world(), 'unknown VM', client().virtualMachines.get(resourceGroup, 'none'), 404, notFound)
      await refused(
        world(),
        'instance view of an unknown VM',
        client().virtualMachines.instanceView(resourceGroup, 'none'),
        404,
        notFound,
      )
      await refused(
        world(),
        'start of an unknown VM',
        client().virtualMachines.start(resourceGroup, 'none', poll),
        404,
        notFound,
      )
      await refused(world(), 'unknown disk', client().disks.get(resourceGroup, 'none'), 404, notFound)
      await refused(
        world(),
        'update of an unknown disk',
        client().disks.update(resourceGroup, 'none', {}, poll),
        404,
        notFound,
      )
      await refused(world(), 'unknown snapshot', client().snapshots.get(resourceGroup, 'none'), 404, notFound)
      await refused(
        world(),
        'unknown collection',
        client().restorePointCollections.get(resourceGroup, 'none'),
        404,
        notFound,
      )
      await refused(
        world(),
        'unknown restore point',
        client().restorePoints.get(resourceGroup, 'none', 'rp'),
        404,
        notFound,
      )
      await refused(
        world(),
        'unknown disk restore point',
        client().diskRestorePoint.get(resourceGroup, 'none', 'rp', 'd'),
        404,
        notFound,
      )
      await refused(
        world(),
        'disk restore points of an unknown restore point',
        all(client().diskRestorePoint.listByRestorePoint(resourceGroup, 'none', 'rp')),
        404,
        notFound,
      )
      const orphan = client().restorePoints.create(resourceGroup, 'none', 'rp', {}, poll)
      await refused(world(), 'restore point in an unknown collection', orphan, 404, 'ParentResourceNotFound')
      const operations = `/subscriptions/${subscriptionId}/providers/Microsoft.Compute/locations/${location}`
      refusedAnswer(
        world(),
        'unknown operation',
        await send('GET', `${operations}/operations/none?${compute}`),
        404,
        'NotFound',
      )
      refusedAnswer(
        world(),
        'unknown disk operation',
        await send('GET', `${operations}/DiskOperations/none?${disk}`),
        404,
        'NotFound',
      )
      const network = `/subscriptions/${subscriptionId}/providers/Microsoft.Network/virtualNetworks?${compute}`
      refusedAnswer(world(), 'another provider', await send('GET', network), 404, 'InvalidResourceType')
      const sets = `/subscriptions/${subscriptionId}/providers/Microsoft.Compute/availabilitySets?${compute}`
      refusedAnswer(world(), 'a type that is not emulated', await send('GET', sets), 501, 'NotImplemented')
      refusedAnswer(
        world(),
        'an action that is not emulated',
        await send('POST', `${vmPath()}/redeploy?${compute}`),
        501,
        'NotImplemented',
      )
      const wrongMethod = await send('DELETE', `${vmPath()}/instanceView?${compute}`)
      refusedAnswer(world(), 'a method that does not fit', wrongMethod, 405, 'MethodNotAllowed')
      expect(wrongMethod.headers.get('allow')).toBe('GET')
      refusedAnswer(
        world(),
        'a path that cannot be decoded',
        await send('GET', `${vmPath()}%zz?${compute}`),
        400,
        'BadRequest',
      )
    })
  })

  describe('a body that is not right', () => {
    it('is no JSON, no object, too large, or has a field that nobody knows', async () => {
      const { send } = world()
      const put = (body: unknown) => send('PUT', `${idOf('disks', 'never')}?${disk}`, { body })
      refusedAnswer(world(), 'body that is no JSON', await put('{"location":'), 400, 'InvalidRequestContent')
      refusedAnswer(
        world(),
        'body that is a list',
        await send('PATCH', `${idOf('disks', 'linux-os')}?${disk}`, { body: [] }),
        400,
        'InvalidRequestContent',
      )
      const properties = { creationData: { createOption: 'Empty' }, diskSizeGB: 1 }
      refusedAnswer(world(), 'disk without a location', await put({ properties }), 400, 'LocationRequired')
      const far = await put({ location: 'mars', properties })
      refusedAnswer(world(), 'disk in no region', far, 400, 'LocationNotAvailableForResourceType')
      expect(far.json.error.message).toMatch(/'mars' .* 'Microsoft\.Compute\/disks'\. .*'.*\bwesteurope\b.*'/)
      refusedAnswer(world(), 'disk without properties', await put({ location }), 400, 'InvalidParameter')
      const unknown = await put({ location, properties: { ...properties, colour: 'red' } })
      refusedAnswer(world(), 'a property that is not known', unknown, 400, 'InvalidParameter')
      expect(unknown.json.error.target).toBe('properties.colour')
      const large = await put(JSON.stringify({ location, tags: { big: 'x'.repeat(4 * 2 ** 20) } }))
      refusedAnswer(world(), 'body of more than 4 MB', large, 413, 'RequestContentTooLarge')
      const tags = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`t${index}`, 'v']))
      refusedAnswer(world(), '51 tags', await put({ location, tags, properties }), 400, 'InvalidParameter')
    })
  })

  describe('a disk that cannot be made', () => {
    const creating = (creationData: object, rest: object = {}) =>
      client().disks.createOrUpdate(
        resourceGroup,
        'not-made',
        { location, creationData: creationData as never, ...rest },
        poll,
      )

    it('has no size, no source, a wrong size or a wrong name', async () => {
      const invalid = 'InvalidParameter'
      await refused(world(), 'empty disk without diskSizeGB', creating({ createOption: 'Empty' }), 400, invalid)
      await refused(world(), 'disk of 0 GB', creating({ createOption: 'Empty' }, { diskSizeGB: 0 }), 400, invalid)
      await refused(
        world(),
        'disk of 32,768 GB',
        creating({ createOption: 'Empty' }, { diskSizeGB: 32_768 }),
        400,
        invalid,
      )
      await refused(world(), 'disk without createOption', creating({}), 400, invalid)
      await refused(world(), 'createOption Import', creating({ createOption: 'Import' }), 400, invalid)
      await refused(world(), 'copy without a source', creating({ createOption: 'Copy' }), 400, invalid)
      await refused(
        world(),
        'copy of a VM',
        creating({ createOption: 'Copy', sourceResourceId: vmPath() }),
        400,
        invalid,
      )
      await refused(
        world(),
        'restore of a disk',
        creating({ createOption: 'Restore', sourceResourceId: idOf('disks', 'linux-os') }),
        400,
        invalid,
      )
      const gone = { createOption: 'Copy', sourceResourceId: idOf('snapshots', 'none') }
      await refused(world(), 'copy of an unknown snapshot', creating(gone), 404, 'ResourceNotFound')
      const source = { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-os') }
      await refused(
        world(),
        'copy into another region',
        creating(source, { location: 'northeurope' }),
        400,
        'BadRequest',
      )
      const named = (name: string) =>
        client().disks.createOrUpdate(
          resourceGroup,
          name,
          { location, creationData: { createOption: 'Empty' }, diskSizeGB: 1 },
          poll,
        )
      await refused(world(), 'disk name of 81 characters', named('d'.repeat(81)), 400, invalid)
      await refused(world(), 'disk name with a dot', named('a.b'), 400, invalid)
      await refused(
        world(),
        'disk name of ..',
        world()
          .send('PUT', `${idOf('disks', '%2e%2e%2fx')}?${disk}`, { body: { location } })
          .then((answer) => Promise.reject({ statusCode: answer.status, code: answer.json.error.code })),
        400,
        invalid,
      )
    })

    it('is an upload of a size that the service does not take', async () => {
      const upload = (uploadSizeBytes?: number) => creating({ createOption: 'Upload', uploadSizeBytes })
      const mib = 2 ** 20
      const invalid = 'InvalidParameter'
      await refused(world(), 'upload without uploadSizeBytes', upload(), 400, invalid)
      await refused(world(), 'upload of less than 20,972,032 bytes', upload(19 * mib + 512), 400, invalid)
      await refused(
        world(),
        'upload of more than 35,183,298,347,520 bytes',
        upload(35_183_298_347_520 + mib),
        400,
        invalid,
      )
      await refused(world(), 'upload without the footer', upload(24 * mib), 400, 'BadRequest')
      await refused(world(), 'upload of whole sectors but not whole MiB', upload(24 * mib + 1024), 400, 'BadRequest')
      const sized = creating({ createOption: 'Upload', uploadSizeBytes: 24 * mib + 512 }, { diskSizeGB: 1 })
      await refused(world(), 'upload with diskSizeGB', sized, 400, invalid)
    })
  })

  describe('a disk that exists', () => {
    it('does not shrink, move, change its origin, or go while it is attached or busy', async () =>
      slowly(world(), ['Disks_Update'], async () => {
        const disks = client().disks
        const creationData = { createOption: 'Empty' } as const
        const put = (rest: object) =>
          disks.createOrUpdate(resourceGroup, 'fixed', { location, creationData, diskSizeGB: 2, ...rest }, poll)
        await put({})
        await refused(
          world(),
          'a smaller disk by PATCH',
          disks.update(resourceGroup, 'fixed', { diskSizeGB: 1 }, poll),
          400,
          'BadRequest',
        )
        await refused(world(), 'a smaller disk by PUT', put({ diskSizeGB: 1 }), 400, 'BadRequest')
        await refused(
          world(),
          'another location of a disk',
          put({ location: 'northeurope' }),
          409,
          'PropertyChangeNotAllowed',
        )
        const source = { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-os') }
        await refused(
          world(),
          'another origin of a disk',
          put({ creationData: source }),
          409,
          'PropertyChangeNotAllowed',
        )
        await refused(
          world(),
          'delete of an attached disk',
          disks.delete(resourceGroup, 'linux-os', poll),
          409,
          'OperationNotAllowed',
        )
        const first = disks.update(resourceGroup, 'fixed', { tags: { a: 'b' } }, poll)
        await first.submitted()
        await refused(
          world(),
          'update of a disk that is being updated',
          disks.update(resourceGroup, 'fixed', {}, poll),
          409,
          'Conflict',
        )
        await refused(
          world(),
          'delete of a disk that is being updated',
          disks.delete(resourceGroup, 'fixed', poll),
          409,
          'Conflict',
        )
        await refused(
          world(),
          'SAS on a disk that is being updated',
          disks.grantAccess(resourceGroup, 'fixed', { access: 'Read', durationInSeconds: 60 }, poll),
          409,
          'Conflict',
        )
        await first
        await disks.delete(resourceGroup, 'fixed', poll)
      }))
  })

  describe('a snapshot that cannot be', () => {
    it('is incremental of a snapshot, of no disk, resized, or changed in kind', async () => {
      const { snapshots } = client()
      const creationData = { createOption: 'Copy', sourceResourceId: idOf('disks', 'linux-os') } as const
      const put = (name: string, rest: object) =>
        snapshots.createOrUpdate(resourceGroup, name, { location, incremental: true, creationData, ...rest }, poll)
      await put('base', {})
      const ofSnapshot = { creationData: { createOption: 'Copy', sourceResourceId: idOf('snapshots', 'base') } }
      await refused(world(), 'incremental snapshot of a snapshot', put('second', ofSnapshot), 400, 'InvalidParameter')
      await refused(
        world(),
        'incremental empty snapshot',
        put('second', { creationData: { createOption: 'Empty' } }),
        400,
        'InvalidParameter',
      )
      await refused(
        world(),
        'incremental snapshot larger than its disk',
        put('second', { diskSizeGB: 9 }),
        400,
        'InvalidParameter',
      )
      await refused(
        world(),
        'CopyStart between regions',
        put('second', { creationData: { createOption: 'CopyStart' } }),
        400,
        'InvalidParameter',
      )
      await refused(
        world(),
        'full snapshot over an incremental one',
        put('base', { incremental: false }),
        409,
        'PropertyChangeNotAllowed',
      )
      await refused(world(), 'snapshot name with a slash', put('a/b', {}), 400, 'InvalidParameter')
      await snapshots.delete(resourceGroup, 'base', poll)
    })
  })

  describe('a restore point that cannot be', () => {
    const points = () => client().restorePoints
    const collections = () => client().restorePointCollections
    const collection = (name: string, source: string) =>
      collections().createOrUpdate(resourceGroup, name, { location, source: { id: source } })

    it('has no collection that stands: unknown VM, no VM, another source later', async () => {
      await refused(
        world(),
        'collection of an unknown VM',
        collection('c', idOf('virtualMachines', 'none')),
        404,
        'ResourceNotFound',
      )
      await refused(
        world(),
        'collection of a disk',
        collection('c', idOf('disks', 'linux-os')),
        400,
        'InvalidParameter',
      )
      await refused(
        world(),
        'collection of a collection',
        collection('c', idOf('restorePointCollections', 'x')),
        400,
        'InvalidParameter',
      )
      const sourceless = collections().createOrUpdate(resourceGroup, 'c', { location })
      await refused(world(), 'collection without a source', sourceless, 400, 'InvalidParameter')
      const far = collections().createOrUpdate(resourceGroup, 'c', {
        location: 'northeurope',
        source: { id: vmPath() },
      })
      await refused(world(), 'collection in another region than its VM', far, 400, 'InvalidParameter')
      await collection('c', vmPath())
      await refused(
        world(),
        'another source of a collection',
        collection('c', idOf('virtualMachines', 'vm-cold')),
        409,
        'PropertyChangeNotAllowed',
      )
      const expand = { expand: 'everything' } as never
      await refused(
        world(),
        'unknown $expand of a collection',
        collections().get(resourceGroup, 'c', expand),
        400,
        'InvalidParameter',
      )
      await collections().delete(resourceGroup, 'c', poll)
    })

    it('asks for what one only gets, excludes what is not there, or has a wrong name', async () => {
      await collection('r', vmPath())
      const create = (body: object, name = 'rp') => points().create(resourceGroup, 'r', name, body, poll)
      const invalid = 'InvalidParameter'
      await refused(
        world(),
        'ApplicationConsistent as input',
        create({ consistencyMode: 'ApplicationConsistent' }),
        400,
        invalid,
      )
      await refused(
        world(),
        'FileSystemConsistent as input',
        create({ consistencyMode: 'FileSystemConsistent' }),
        400,
        invalid,
      )
      await refused(
        world(),
        'excludeDisks with a foreign disk',
        create({ excludeDisks: [{ id: idOf('disks', 'cold-os') }] }),
        400,
        invalid,
      )
      const allDisks = ['linux-os', 'linux-data-0', 'linux-data-1'].map((name) => ({ id: idOf('disks', name) }))
      await refused(world(), 'excludeDisks with all disks', create({ excludeDisks: allDisks }), 400, invalid)
      await refused(world(), 'a copy of a restore point', create({ sourceRestorePoint: { id: 'x' } }), 400, invalid)
      await refused(world(), 'restore point name of 81 characters', create({}, 'r'.repeat(81)), 400, invalid)
      await refused(world(), 'restore point name beginning with a dot', create({}, '.rp'), 400, invalid)
      const expand = { expand: 'everything' } as never
      await create({})
      await refused(
        world(),
        'unknown $expand of a restore point',
        points().get(resourceGroup, 'r', 'rp', expand),
        400,
        invalid,
      )
      await refused(world(), 'PUT of a restore point that exists', create({}), 409, 'Conflict')
    })

    it('comes while another of the same VM is being made, in whatever collection, or while the VM changes', async () =>
      slowly(world(), ['RestorePoints_Create', 'VirtualMachines_PowerOff'], async () => {
        await collection('r2', vmPath())
        const first = points().create(resourceGroup, 'r', 'rp-a', {}, poll)
        await first.submitted()
        const create = (name: string) => points().create(resourceGroup, 'r2', name, {}, poll)
        await refused(world(), 'restore point while another is being made', create('rp-b'), 409, 'Conflict')
        await refused(
          world(),
          'power off while a restore point is being made',
          client().virtualMachines.powerOff(resourceGroup, 'vm-linux', poll),
          409,
          'Conflict',
        )
        await refused(
          world(),
          'delete of a restore point that is being made',
          points().delete(resourceGroup, 'r', 'rp-a', poll),
          409,
          'Conflict',
        )
        await refused(
          world(),
          'delete of a collection whose point is being made',
          collections().delete(resourceGroup, 'r', poll),
          409,
          'Conflict',
        )
        await first
        const off = client().virtualMachines.powerOff(resourceGroup, 'vm-linux', poll)
        await off.submitted()
        await refused(world(), 'restore point while the VM changes its power', create('rp-c'), 409, 'Conflict')
        await refused(
          world(),
          'start of a VM that is stopping',
          client().virtualMachines.start(resourceGroup, 'vm-linux', poll),
          409,
          'Conflict',
        )
        await off
        await client().virtualMachines.start(resourceGroup, 'vm-linux', poll)
      }))

    it('is deleted while a SAS of one of its disks is live', async () => {
      const [found] = await all(client().diskRestorePoint.listByRestorePoint(resourceGroup, 'r', 'rp'))
      const name = found?.name ?? ''
      await client().diskRestorePoint.grantAccess(
        resourceGroup,
        'r',
        'rp',
        name,
        { access: 'Read', durationInSeconds: 60 },
        poll,
      )
      const code = 'DiskRestorePointUsedByCustomer'
      await refused(
        world(),
        'delete of a restore point with a live SAS',
        points().delete(resourceGroup, 'r', 'rp', poll),
        409,
        code,
      )
      await refused(
        world(),
        'delete of a collection with a live SAS',
        collections().delete(resourceGroup, 'r', poll),
        409,
        code,
      )
      const write = client().diskRestorePoint.grantAccess(
        resourceGroup,
        'r',
        'rp',
        name,
        { access: 'Write', durationInSeconds: 60 },
        poll,
      )
      await refused(world(), 'write SAS on a disk restore point', write, 400, 'InvalidParameter')
      await client().diskRestorePoint.revokeAccess(resourceGroup, 'r', 'rp', name, poll)
    })

    it('is the one after the most that a VM may have', async () => {
      const { context } = world().emulator
      context.changeSettings({ ...context.settings(), restorePointsPerVmMax: 2 })
      const third = points().create(resourceGroup, 'r2', 'rp-over', {}, poll)
      await refused(world(), 'the 501st restore point of a VM (limit set to 2)', third, 409, 'OperationNotAllowed')
      context.changeSettings({ ...context.settings(), restorePointsPerVmMax: 500 })
      for (const name of ['r', 'r2']) await collections().delete(resourceGroup, name, poll)
    })
  })

  describe('a virtual machine that cannot be', () => {
    it('is expanded, filtered, paged or made in ways that are not', async () => {
      const { virtualMachines } = client()
      const invalid = 'InvalidParameter'
      await refused(
        world(),
        'unknown $expand of a VM',
        virtualMachines.get(resourceGroup, 'vm-linux', { expand: 'all' as never }),
        400,
        invalid,
      )
      const sleep = virtualMachines.deallocate(resourceGroup, 'vm-linux', { ...poll, hibernate: true })
      await refused(world(), 'hibernation', sleep, 409, 'OperationNotAllowed')
      await refused(
        world(),
        '$filter of VMs',
        all(virtualMachines.list(resourceGroup, { filter: 'x' })),
        400,
        'BadRequest',
      )
      const { send } = world()
      refusedAnswer(
        world(),
        'a wrong $skiptoken',
        await send('GET', `${idOf('disks')}?${disk}&$skiptoken=abc`),
        400,
        invalid,
      )
      const make = (osDiskName: string, createOption = 'Attach') =>
        virtualMachines.createOrUpdate(
          resourceGroup,
          'vm-not-made',
          {
            location,
            hardwareProfile: { vmSize: 'Standard_D2s_v5' },
            storageProfile: {
              osDisk: { osType: 'Linux', createOption, managedDisk: { id: idOf('disks', osDiskName) } },
            },
          },
          poll,
        )
      await refused(world(), 'VM of a disk that another has', make('linux-os'), 409, 'Conflict')
      await refused(world(), 'VM of an unknown disk', make('none'), 404, 'ResourceNotFound')
      await refused(world(), 'VM from an image', make('linux-os', 'FromImage'), 400, invalid)
    })
  })
}
