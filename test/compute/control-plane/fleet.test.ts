import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ComputeEmulator, startComputeEmulator } from '../../../local/compute/compute-emulator.ts'
import { FleetError, readFleet } from '../../../local/compute/fleet.ts'
import { idOf, makeFleet, mib } from './support.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-'))
  path = await makeFleet(folder)
})

afterEach(() => rm(folder, { recursive: true, force: true }))

// biome-ignore lint/suspicious/noExplicitAny: tests bend the file in every way
const edit = async (change: (fleet: any) => unknown): Promise<void> => {
  const fleet = JSON.parse(await readFile(path, 'utf8'))
  change(fleet)
  await writeFile(path, JSON.stringify(fleet))
}

const problems = async (): Promise<Record<string, string>> => {
  const error = await readFleet(path).catch((thrown: unknown) => thrown)
  if (!(error instanceof FleetError)) throw new Error(`no FleetError but ${error}`)
  for (const { field, fix } of error.problems) expect(error.message).toContain(`${field}: ${fix}`)
  return Object.fromEntries(error.problems.map(({ field, fix }) => [field, fix]))
}

describe('a fleet file', () => {
  it('gives absolute images with their sizes, default locations and its policies untouched', async () => {
    const fleet = await readFleet(path)
    expect(fleet.policies).toEqual({ daily: { schedule: '0 2 * * *' } })
    expect(fleet.virtualMachines[0]).toMatchObject({ name: 'vm-linux', location: 'westeurope', powerState: 'running' })
    expect(fleet.virtualMachines[0]?.disks[0]).toMatchObject({
      name: 'linux-os',
      lun: 'os',
      imagePath: join(folder, 'linux-os.raw'),
      sizeBytes: 4 * mib,
    })
  })

  it('is told every wrong field at once, each with its fix', async () => {
    await edit((fleet) => {
      fleet.subscription = 'mine'
      fleet.virtualMachines[0].osType = 'BeOS'
      fleet.virtualMachines[0].colour = 'red'
      fleet.virtualMachines[0].location = 'mars'
      delete fleet.virtualMachines[1].name
      fleet.virtualMachines[2].disks[0].lun = 64
    })
    expect(await problems()).toEqual({
      subscription: expect.stringContaining('GUID'),
      'virtualMachines.0.osType': expect.stringContaining('"Linux" or "Windows"'),
      'virtualMachines.0.colour': expect.stringMatching(/not known; .* name, resourceGroup, location, osType, /),
      'virtualMachines.0.location': expect.stringContaining('Azure region'),
      'virtualMachines.1.name': expect.stringContaining('missing'),
      'virtualMachines.2.disks.0.lun': expect.stringContaining('0 to 63'),
    })
  })

  it('is told all names, luns, groups and images that do not fit together', async () => {
    await truncate(join(folder, 'linux-data-1.raw'), 1000)
    await edit((fleet) => {
      const [linux, windows, cold] = fleet.virtualMachines
      linux.disks[1].image = 'nowhere.raw'
      linux.disks[2].lun = 0
      windows.resourceGroup = 'rg-elsewhere'
      cold.name = 'VM-LINUX'
      cold.disks[0].lun = 5
      cold.disks.push({ name: 'linux-os', lun: 6, image: 'linux-os.raw' })
    })
    expect(await problems()).toEqual({
      'virtualMachines.0.disks.1.image': expect.stringContaining('does not exist'),
      'virtualMachines.0.disks.2.image': expect.stringContaining('multiple of 512'),
      'virtualMachines.0.disks.2.lun': expect.stringContaining('taken'),
      'virtualMachines.1.resourceGroup': expect.stringContaining('none of the resourceGroups'),
      'virtualMachines.2.name': expect.stringContaining('taken'),
      'virtualMachines.2.disks': expect.stringContaining('exactly one disk'),
      'virtualMachines.2.disks.1.name': expect.stringContaining('taken'),
      'virtualMachines.2.disks.1.image': expect.stringContaining('another disk'),
    })
  })

  it('is missing, or is no JSON', async () => {
    await writeFile(path, '{"subscription":')
    expect(await problems()).toEqual({ '': expect.stringContaining('not JSON') })
    await rm(path)
    expect(await problems()).toEqual({ '': expect.stringContaining('ENOENT') })
  })
})

describe('a fleet loaded again', () => {
  const session = async <T>(use: (emulator: ComputeEmulator) => T | Promise<T>): Promise<T> => {
    const emulator = await startComputeEmulator({ dataFolder: join(folder, 'data'), fleetPath: path })
    try {
      return await use(emulator)
    } finally {
      await emulator.close()
    }
  }
  const diskOf = ({ context }: ComputeEmulator, name: string) => context.state.get('disks', idOf('disks', name))
  const vmOf = ({ context }: ComputeEmulator, name: string) =>
    context.state.get('virtualMachines', idOf('virtualMachines', name))

  it('keeps ids and what the API has changed, and ids are the same in a new data folder', async () => {
    const before = await session((emulator) => {
      const vm = vmOf(emulator, 'vm-linux')
      if (vm === null) throw new Error('no VM')
      emulator.context.state.put('virtualMachines', { ...vm, powerState: 'deallocated' })
      return { disk: diskOf(emulator, 'linux-os'), vm }
    })
    await session((emulator) => {
      expect(diskOf(emulator, 'linux-os')).toEqual(before.disk)
      expect(vmOf(emulator, 'vm-linux')).toEqual({ ...before.vm, powerState: 'deallocated' })
    })
    await rm(join(folder, 'data'), { recursive: true })
    await session((emulator) => {
      expect(diskOf(emulator, 'linux-os')?.uniqueId).toBe(before.disk?.uniqueId)
      expect(vmOf(emulator, 'vm-linux')?.vmId).toBe(before.vm.vmId)
    })
  })

  it('follows the file: new tags, a disk taken away, an image grown, a VM gone', async () => {
    const before = await session((emulator) => vmOf(emulator, 'vm-linux'))
    await edit((fleet) => {
      fleet.virtualMachines[0].tags = { policy: 'hourly' }
      fleet.virtualMachines[0].disks.pop()
      fleet.virtualMachines.pop()
    })
    await truncate(join(folder, 'linux-data-0.raw'), 8 * mib)
    await session((emulator) => {
      const vm = vmOf(emulator, 'vm-linux')
      expect(vm).toMatchObject({ vmId: before?.vmId, tags: { policy: 'hourly' } })
      expect(vm?.dataDisks.map(({ lun }) => lun)).toEqual([0])
      expect(diskOf(emulator, 'linux-data-1')?.managedBy).toBeUndefined()
      expect(diskOf(emulator, 'linux-data-0')?.sizeBytes).toBe(8 * mib)
      expect(vmOf(emulator, 'vm-cold')).toBeNull()
      expect(diskOf(emulator, 'cold-os')?.managedBy).toBeUndefined()
    })
  })
})
