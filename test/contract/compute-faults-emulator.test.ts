import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createArmDiskAccess } from '../../shared/azure/arm-disk-access.ts'
import { createArmDiskSnapshots } from '../../shared/azure/arm-disk-snapshots.ts'
import { ArmError } from '../../shared/azure/arm-error.ts'
import { createArmRestoreDisks } from '../../shared/azure/arm-restore-disks.ts'
import { createArmRestorePoints } from '../../shared/azure/arm-restore-points.ts'
import { createArmVmInventory } from '../../shared/azure/arm-vm-inventory.ts'
import { createSasDiskWriter } from '../../shared/azure/sas-disk-writer.ts'
import type { Consistency, VmDescription } from '../../shared/domain/vm.ts'
import type { SnapshotSet } from '../../shared/ports/compute.ts'
import {
  computeId,
  diskBytes,
  type EmulatedAzure,
  startEmulatedAzure,
  subscriptionId,
} from '../support/emulated-azure.ts'
import { settled } from './compute.contract.ts'

/** What the platform can do to the adapters, shown on the emulator: faults are planned there, the adapters are the real ones. */
let azure: EmulatedAzure
let recoveryPoints = 0
beforeAll(async () => {
  azure = await startEmulatedAzure()
})
afterAll(async () => azure?.close())
beforeEach(() => azure.emulator.context.faults.clear())

const adapters = () => {
  const { clients } = azure
  const access = createArmDiskAccess(clients)
  return {
    inventory: createArmVmInventory(clients),
    access,
    restorePoints: createArmRestorePoints({ clients, access }),
    diskSnapshots: createArmDiskSnapshots({ clients, access }),
    restoreDisks: createArmRestoreDisks({ clients, accessSeconds: 3600 }),
  }
}
/** Each VM is described once: the emulator gives 250 reads at once and 25 a second, as Azure does. */
const described = new Map<string, VmDescription>()
const describeVm = async (vmId: string): Promise<VmDescription> => {
  const vm = described.get(vmId) ?? (await adapters().inventory.find(vmId))
  if (vm === null) throw new Error(`${vmId} is not there`)
  described.set(vmId, vm)
  return vm
}
const nextId = () => `20261122t020000z-${String(++recoveryPoints).padStart(10, '0')}`
const requestOf = (vm: VmDescription, consistency: Consistency = 'application', recoveryPointId = nextId()) => ({
  vm,
  recoveryPointId,
  consistency,
  disks: vm.disks.map(({ disk }) => disk),
})
type Source = 'restorePoints' | 'diskSnapshots'
const take = async (source: Source, request: ReturnType<typeof requestOf>): Promise<SnapshotSet> => {
  const { [source]: snapshots } = adapters()
  const ensured = await settled(60, () => snapshots.ensure(request))
  if (ensured.kind !== 'ready') throw new Error(JSON.stringify(ensured))
  return ensured.snapshots
}
const pointsOf = (vm: VmDescription) =>
  azure.emulator.context.state.list('restorePoints', '/subscriptions/').filter((one) => one.sourceVmId === vm.vmId)

describe('a restore point', () => {
  it.each([
    ['a running Windows VM', () => azure.windowsVmId, 'application', 'application'],
    ['a running Linux VM', () => azure.linuxVmId, 'application', 'fileSystem'],
    ['a running VM of which crash consistency is asked', () => azure.windowsVmId, 'crash', 'crash'],
    ['a VM that does not run', () => azure.coldVmId, 'application', 'crash'],
  ] as const)('of %s reads back what was reached', async (_, vmId, asked, reached) => {
    const vm = await describeVm(vmId())
    expect((await take('restorePoints', requestOf(vm, asked))).consistency).toBe(reached)
  })

  it('asks for crash consistency in so many words, and for nothing better: only that is accepted', async () => {
    const [running, cold] = [await describeVm(azure.linuxVmId), await describeVm(azure.coldVmId)]
    const modes: unknown[] = []
    for (const request of [
      requestOf(running),
      requestOf(running, 'crash'),
      requestOf(cold),
      requestOf(cold, 'fileSystem'),
    ]) {
      await take('restorePoints', request)
      modes.push(pointsOf(request.vm).find(({ name }) => name === request.recoveryPointId)?.requestedMode)
    }
    expect(modes).toEqual([undefined, 'CrashConsistent', 'CrashConsistent', 'CrashConsistent'])
  })

  it('holds the disks that are wanted and no other', async () => {
    const vm = await describeVm(azure.linuxVmId)
    const request = { ...requestOf(vm), disks: ['os', 'lun-1'] }
    const set = await take('restorePoints', request)
    expect(set.disks.map(({ disk }) => disk)).toEqual(['os', 'lun-1'])
    const { state } = azure.emulator.context
    const made = state.list('diskRestorePoints', `${set.restorePointId}/diskRestorePoints/`)
    expect(made.map(({ sourceDiskId }) => sourceDiskId.split('/').pop()).sort()).toEqual(['linux-data-1', 'linux-os'])
    for (const { disk, source } of set.disks) {
      const { uniqueId, name } = vm.disks.find((one) => one.disk === disk) ?? {}
      expect(source.sourceUniqueId).toBe(uniqueId)
      expect(source.resourceId).toContain(`/diskRestorePoints/${name}_`)
    }
  })

  it('tells the lesser consistency when VSS failed', async () => {
    azure.emulator.context.faults.add({ operation: 'RestorePoints_Create', vssWriterFailure: true })
    const vm = await describeVm(azure.windowsVmId)
    expect((await take('restorePoints', requestOf(vm))).consistency).toBe('fileSystem')
  })

  it('is made once by calls at the same time, from two processes', async () => {
    const vm = await describeVm(azure.linuxVmId)
    const request = requestOf(vm)
    const before = pointsOf(vm).length
    const [one, other] = await Promise.all([take('restorePoints', request), take('restorePoints', request)])
    expect(one).toEqual(other)
    expect(pointsOf(vm)).toHaveLength(before + 1)
  })

  it.each(['dropConnection', 'status'] as const)('is made once though its answer was lost (%s)', async (how) => {
    const vm = await describeVm(azure.linuxVmId)
    const before = pointsOf(vm).length
    const lost = how === 'status' ? { status: 500 } : { dropConnection: true }
    azure.emulator.context.faults.add({ operation: 'RestorePoints_Create', afterEffect: true, ...lost })
    await take('restorePoints', requestOf(vm))
    expect(azure.emulator.context.faults.pending()).toEqual([])
    expect(pointsOf(vm)).toHaveLength(before + 1)
  })

  it('waits its turn while another of the VM is being made', async () => {
    const vm = await describeVm(azure.linuxVmId)
    const { restorePoints } = adapters()
    const [first, second] = [requestOf(vm), requestOf(vm)]
    expect((await restorePoints.ensure(first)).kind).toBe('pending')
    expect(await restorePoints.ensure(second)).toEqual({ kind: 'pending', retryAfterSeconds: 30 })
    expect((await take('restorePoints', first)).disks).toHaveLength(3)
    expect((await take('restorePoints', second)).disks).toHaveLength(3)
  })

  it('comes back as pending for as long as the platform keeps them apart', async () => {
    const vm = await describeVm(azure.coldVmId)
    await take('restorePoints', requestOf(vm))
    const { context } = azure.emulator
    const before = context.settings()
    context.changeSettings({ ...before, spacing: true })
    const answer = await adapters().restorePoints.ensure(requestOf(vm))
    context.changeSettings(before)
    expect(answer.kind === 'pending' && answer.retryAfterSeconds).toBeGreaterThan(3590)
  })

  it('that fails says why in plain words, and goes on saying so', async () => {
    const vm = await describeVm(azure.linuxVmId)
    const { restorePoints } = adapters()
    const request = requestOf(vm)
    const failOperation = { code: 'VMAgentStatusCommunicationError', message: 'The agent does not answer.' }
    azure.emulator.context.faults.add({ operation: 'RestorePoints_Create', failOperation })
    const failed = await settled(60, () => restorePoints.ensure(request))
    expect(failed).toMatchObject({
      kind: 'failed',
      reason: 'vm-agent-not-ready',
      message: 'The agent does not answer.',
    })
    expect(failed.kind === 'failed' && failed.hint).toMatch(/agent is Ready/)
    expect(await restorePoints.ensure(request)).toEqual(failed)
    expect(await adapters().restorePoints.ensure(request)).toMatchObject({ kind: 'failed' })
  })

  it('of a VM that is gone is refused', async () => {
    const vm = await describeVm(azure.linuxVmId)
    const vmId = computeId('virtualMachines', 'vm-gone')
    const answer = await settled(60, () =>
      adapters().restorePoints.ensure(requestOf({ ...vm, vmId, vmKey: 'vm-gone-000000000000' })),
    )
    expect(answer.kind).toBe('failed')
  })
})

describe('releasing', () => {
  it('removes ours alone: other collections, untagged snapshots and other VMs stay', async () => {
    const [linux, windows] = [await describeVm(azure.linuxVmId), await describeVm(azure.windowsVmId)]
    const client = azure.clients.forSubscription(subscriptionId)
    const group = 'rg-fleet'
    const source = { id: linux.vmId }
    await client.restorePointCollections.createOrUpdate(group, 'theirs', { location: 'westeurope', source })
    await client.restorePoints.create(group, 'theirs', 'point', {}, { updateIntervalInMs: 20 })
    const creationData = { createOption: 'Copy', sourceResourceId: linux.disks[0]?.diskId ?? '' } as const
    const snapshot = { location: 'westeurope', incremental: true, creationData }
    await client.snapshots.createOrUpdate(group, 'theirs', snapshot, { updateIntervalInMs: 20 })
    const other = requestOf(windows)
    for (const one of ['restorePoints', 'diskSnapshots'] as const) {
      const kept = requestOf(linux)
      await take(one, requestOf(linux))
      const [keptSet, otherSet] = [await take(one, kept), await take(one, other)]
      const adapter = adapters()[one]
      expect((await settled(60, () => adapter.release(linux, [kept.recoveryPointId]))).kind).toBe('released')
      // One that had been removed would be made anew here, at another time.
      expect(await take(one, kept)).toEqual(keptSet)
      expect((await settled(60, () => adapter.release(linux, []))).kind).toBe('released')
      expect(await take(one, other)).toEqual(otherSet)
    }
    expect((await client.restorePoints.get(group, 'theirs', 'point')).provisioningState).toBe('Succeeded')
    expect((await client.snapshots.get(group, 'theirs')).provisioningState).toBe('Succeeded')
  })

  it('says so when a lock keeps a restore point', async () => {
    const vm = await describeVm(azure.windowsVmId)
    await take('restorePoints', requestOf(vm))
    azure.emulator.context.faults.add({
      operation: 'RestorePoints_Delete',
      status: 409,
      code: 'ScopeLocked',
      times: 10,
    })
    const answer = await settled(60, () => adapters().restorePoints.release(vm, []))
    expect(answer).toMatchObject({ kind: 'failed', reason: 'resource-locked' })
  })
})

describe('access', () => {
  it('to a sixth snapshot of a disk is pending until another is given back', async () => {
    const vm = await describeVm(azure.coldVmId)
    const { access } = adapters()
    const ids: string[] = []
    for (let count = 0; count < 6; count++)
      ids.push((await take('diskSnapshots', requestOf(vm))).disks[0]?.source.resourceId ?? '')
    for (const id of ids.slice(0, 5)) expect((await access.grantRead(id, 3600, 5000)).kind).toBe('granted')
    expect((await access.grantRead(ids[5] ?? '', 3600, 5000)).kind).toBe('pending')
    await settled(60, () => access.revoke(ids[0] ?? ''))
    expect((await access.grantRead(ids[5] ?? '', 3600, 5000)).kind).toBe('granted')
    await settled(60, () => adapters().diskSnapshots.release(vm, []))
  })

  it('that takes longer than the caller waits is pending, and there the next time', async () => {
    const vm = await describeVm(azure.coldVmId)
    const id = (await take('diskSnapshots', requestOf(vm))).disks[0]?.source.resourceId ?? ''
    const { access } = adapters()
    azure.emulator.context.faults.add({ operation: 'Snapshots_GrantAccess', latencyMs: 200 })
    expect(await access.grantRead(id, 3600, 20)).toEqual({ kind: 'pending', retryAfterSeconds: 2 })
    expect((await settled(50, () => access.grantRead(id, 3600, 20))).kind).toBe('granted')
  })
})

describe('a restored disk', () => {
  const request = (name: string, more: object = {}) => ({
    diskId: computeId('disks', name),
    location: 'westeurope',
    sizeBytes: diskBytes,
    sku: 'Premium_LRS',
    osType: 'Linux' as const,
    hyperVGeneration: 'V2' as const,
    zones: [],
    tags: { vm: 'vm-linux' },
    jobId: 'restore-1',
    ...more,
  })

  it('can be attached once it is finished, holds what was written, and keeps its tags', async () => {
    const { restoreDisks } = adapters()
    const opened = await restoreDisks.open(request('whole'), 10_000)
    if (opened.kind !== 'open') throw new Error(JSON.stringify(opened))
    const writer = createSasDiskWriter({ sasUrl: opened.sasUrl, sizeBytes: diskBytes })
    await writer.write(8192, Buffer.alloc(4096, 'x'))
    await writer.writeFooter()
    writer.close()
    expect(await settled(60, () => restoreDisks.finish(request('whole').diskId, 'restore-1', 10_000))).toEqual({
      kind: 'finished',
    })
    expect(await settled(60, () => restoreDisks.finish(request('whole').diskId, 'restore-1', 10_000))).toEqual({
      kind: 'finished',
    })
    const disk = await azure.clients.forSubscription(subscriptionId).disks.get('rg-fleet', 'whole')
    expect(disk).toMatchObject({
      diskState: 'Unattached',
      diskSizeBytes: diskBytes,
      osType: 'Linux',
      hyperVGeneration: 'V2',
      tags: { vm: 'vm-linux', 'deltavault-job': 'restore-1' },
    })
    const record = azure.emulator.context.state.get('disks', request('whole').diskId)
    const content = await azure.emulator.disks.describe(record?.contentId ?? '')
    const bytes = await readFile(content?.imagePath ?? '')
    expect(bytes.subarray(8190, 8194).toString('latin1')).toBe('\0\0xx')
    expect(await adapters().restoreDisks.open(request('whole'), 10_000)).toMatchObject({
      reason: 'restore-disk-finished',
    })
  })

  it('without its footer is refused when it is finished', async () => {
    const { restoreDisks } = adapters()
    expect((await restoreDisks.open(request('torn'), 10_000)).kind).toBe('open')
    const finished = await settled(60, () => restoreDisks.finish(request('torn').diskId, 'restore-1', 10_000))
    expect(finished).toMatchObject({ kind: 'failed', reason: 'footer-missing' })
  })

  it.each([
    ['a size of less than whole MiB', { sizeBytes: diskBytes + 512 }, 'disk-size-unsupported'],
    ['a size under 20 MiB', { sizeBytes: 16 * 1024 * 1024 }, 'disk-size-unsupported'],
    ['an id that is no disk', { diskId: '/subscriptions/x' }, 'not-a-disk-id'],
    ['a disk of the fleet', { diskId: computeId('disks', 'linux-os') }, 'disk-exists'],
  ])('is refused for %s', async (_, more, reason) => {
    const answer = await settled(60, () => adapters().restoreDisks.open(request('refused', more), 10_000))
    expect(answer).toMatchObject({ kind: 'failed', reason })
  })

  it('is left alone by a job that did not make it', async () => {
    const { restoreDisks } = adapters()
    const opened = await restoreDisks.open(request('contested'), 10_000)
    if (opened.kind !== 'open') throw new Error(JSON.stringify(opened))
    const { diskId } = request('contested')
    const answer = await settled(60, () => adapters().restoreDisks.finish(diskId, 'restore-2', 10_000))
    expect(answer).toMatchObject({ kind: 'failed', reason: 'disk-exists' })
    const writer = createSasDiskWriter({ sasUrl: opened.sasUrl, sizeBytes: diskBytes })
    await writer.write(0, Buffer.alloc(512, 'x'))
    await writer.writeFooter()
    writer.close()
    expect(await settled(60, () => restoreDisks.finish(diskId, 'restore-1', 10_000))).toEqual({ kind: 'finished' })
  })

  it('that was removed meanwhile cannot be finished', async () => {
    const answer = await settled(60, () =>
      adapters().restoreDisks.finish(computeId('disks', 'never'), 'restore-1', 10_000),
    )
    expect(answer).toMatchObject({ kind: 'failed', reason: 'disk-not-found' })
  })
})

describe('a selection of VMs', () => {
  const namesOf = async (selection: object): Promise<string[]> => {
    const names: string[] = []
    for await (const { name } of adapters().inventory.select({ subscriptionIds: [subscriptionId], ...selection }))
      names.push(name)
    return names
  }
  it('describes no VM that is not wanted', async () => {
    azure.emulator.context.faults.add({
      operation: 'VirtualMachines_Get',
      resource: 'vm-cold',
      times: 100,
      status: 500,
    })
    const isWanted = async (vmId: string) => !vmId.toLowerCase().endsWith('/vm-cold')
    const names: string[] = []
    for await (const { name } of adapters().inventory.select({ subscriptionIds: [subscriptionId] }, isWanted))
      names.push(name)
    expect(names.sort()).toEqual(['vm-linux', 'vm-windows'])
  })
  it('goes on over as many pages as there are', async () => {
    const { context } = azure.emulator
    context.changeSettings({ ...context.settings(), pageSize: 1 })
    const names = await namesOf({})
    context.changeSettings({ ...context.settings(), pageSize: 100 })
    expect(names.sort()).toEqual(['vm-cold', 'vm-linux', 'vm-windows'])
  })
  it('compares tag names without case and values with it', async () => {
    expect((await namesOf({ tags: { policy: 'daily' } })).sort()).toEqual(['vm-linux', 'vm-windows'])
    expect(await namesOf({ tags: { Policy: 'Daily' } })).toEqual([])
  })
  it('finds nothing in a resource group that does not exist', async () => {
    expect(await namesOf({ resourceGroups: ['rg-none', 'RG-FLEET'] })).toHaveLength(3)
  })
  it('fails as a whole when a page is throttled, rather than leaving VMs out', async () => {
    azure.emulator.context.faults.add({
      operation: 'VirtualMachines_ListAll',
      status: 429,
      code: 'TooManyRequests',
      retryAfterSeconds: 17,
    })
    const error = await namesOf({}).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ArmError)
    expect((error as ArmError).fault).toEqual({ code: 'throttled', retryAfterSeconds: 17 })
  })
})

describe('a selection with a VM that the platform cannot show', () => {
  const select = async () => {
    const names: string[] = []
    const selection = adapters().inventory.select({ subscriptionIds: [subscriptionId] })
    const reading = (async () => {
      for await (const { name } of selection) names.push(name)
    })()
    return {
      fault: await reading.then(
        () => null,
        (error: ArmError) => error.fault,
      ),
      names: names.sort(),
    }
  }

  it.each([{ status: 500 }, { status: 400, code: 'BadRequest' }])(
    'names the others, then fails: %o',
    async (answer) => {
      const { faults } = azure.emulator.context
      faults.add({ operation: 'VirtualMachines_Get', resource: 'vm-cold', times: 100, ...answer })
      const { names, fault } = await select()
      expect(names).toEqual(['vm-linux', 'vm-windows'])
      expect(fault?.code).toMatch(/server-fault|refused/)
    },
  )

  it('stops at once where the platform is throttling', async () => {
    const { faults } = azure.emulator.context
    faults.add({
      operation: 'VirtualMachines_Get',
      times: 100,
      status: 429,
      code: 'TooManyRequests',
      retryAfterSeconds: 9,
    })
    expect(await select()).toEqual({ names: [], fault: { code: 'throttled', retryAfterSeconds: 9 } })
  })
})

describe('what the adapters say', () => {
  it('holds no signature and no token, in errors as in outcomes', async () => {
    const vm = await describeVm(azure.coldVmId)
    const set = await take('diskSnapshots', requestOf(vm))
    const id = set.disks[0]?.source.resourceId ?? ''
    const { access, inventory } = adapters()
    const granted = await settled(60, () => access.grantRead(id, 3600, 5000))
    if (granted.kind !== 'granted') throw new Error(granted.kind)
    const message = `refused for ${granted.sasUrl}`
    const said: unknown[] = [set, vm]
    for (const fault of [{ status: 400, code: 'BadRequest' }, { status: 500 }, { dropConnection: true }]) {
      azure.emulator.context.faults.add({ operation: '*', times: 100, message, ...fault })
      const { access: fresh, restorePoints } = adapters()
      const works: readonly Promise<unknown>[] = [
        fresh.grantRead(id, 60, 10_000),
        fresh.exists(id),
        restorePoints.ensure(requestOf(vm)),
        inventory.find(vm.vmId),
      ]
      said.push(...(await Promise.all(works.map((work) => work.catch((error: unknown) => error)))))
      azure.emulator.context.faults.clear()
    }
    const shown = said.map((one) => `${inspect(one, { depth: 9, showHidden: true })} ${JSON.stringify(one)}`).join('\n')
    const secrets = ['sig=', 'Bearer', 'eyJ', azure.emulator.identityHeader]
    expect(secrets.filter((secret) => shown.includes(secret))).toEqual([])
    expect(said.filter((one) => one instanceof ArmError).length).toBeGreaterThan(3)
  })
})
