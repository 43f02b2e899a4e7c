import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { closedObject } from '../../shared/jobs/closed-object.ts'
import { isRegion, normalLocation } from './control-plane/regions.ts'
import { isDiskName, isResourceName } from './control-plane/resource-names.ts'

/*
 * A fleet file says which virtual machines the local Azure has. It is JSON:
 *
 *   {
 *     "subscription": "0b1f6471-1bf0-4dda-aec3-cb9272f09590",
 *     "resourceGroups": [{ "name": "rg-fleet", "location": "westeurope" }],
 *     "virtualMachines": [
 *       {
 *         "name": "vm-linux",
 *         "resourceGroup": "rg-fleet",
 *         "osType": "Linux",
 *         "size": "Standard_D2s_v5",                     optional, this is the default
 *         "location": "westeurope",                      optional, that of the resource group
 *         "tags": { "backup": "daily" },                 optional
 *         "hyperVGeneration": "V2",                      optional, V2
 *         "imageReference": { "publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server" },   optional
 *         "powerState": "running",                       optional; running, stopped or deallocated when first seen
 *         "disks": [
 *           { "name": "vm-linux-os", "lun": "os", "image": "vm-linux-os.raw" },
 *           { "name": "vm-linux-data", "lun": 0, "image": "data/vm-linux-data.raw", "sku": "Premium_LRS", "caching": "None" }
 *         ]
 *       }
 *     ],
 *     "policies": { }                                    optional; handed on untouched
 *   }
 *
 * Images are ordinary raw image files, of a multiple of 512 bytes, relative to the fleet file; other programs may write to
 * them at any time, and they may grow between two starts. The file may change between two starts: VMs follow their entries,
 * VMs that are gone are removed, and disks that no VM names any more stay as unattached disks.
 */

/** A raw image holds whole sectors. */
const sectorBytes = 512

const nameSchema = v.pipe(
  v.string('give a name as text'),
  v.check(isResourceName, 'use 1 to 80 letters, digits, ".", "_" and "-", beginning with a letter or digit'),
)

const locationSchema = v.pipe(
  v.string('name an Azure region, such as "westeurope"'),
  v.check(isRegion, 'name an Azure region, such as "westeurope"'),
  v.transform(normalLocation),
)

const tagsSchema = v.record(v.string(), v.string('write tags as {"name": "value"}, both text'))

const diskSchema = closedObject({
  /** Unique in the resource group. */
  name: v.pipe(v.string('give the disk a name'), v.check(isDiskName, 'use 1 to 80 letters, digits, "_" and "-"')),
  /** Where it is attached: `"os"`, or the lun of a data disk. */
  lun: v.custom<'os' | number>(
    (lun) => lun === 'os' || (typeof lun === 'number' && Number.isInteger(lun) && lun >= 0 && lun <= 63),
    'use "os" for the operating system disk, or a lun from 0 to 63',
  ),
  /** An ordinary raw image file, relative to the fleet file. Other programs may write to it at any time. */
  image: v.pipe(
    v.string('name the raw image file, relative to the fleet file'),
    v.minLength(1, 'name the raw image file'),
  ),
  sku: v.optional(
    v.picklist(
      ['Standard_LRS', 'StandardSSD_LRS', 'StandardSSD_ZRS', 'Premium_LRS', 'Premium_ZRS'],
      'use Standard_LRS, StandardSSD_LRS, StandardSSD_ZRS, Premium_LRS or Premium_ZRS',
    ),
    'Premium_LRS',
  ),
  caching: v.optional(v.picklist(['None', 'ReadOnly', 'ReadWrite'], 'use None, ReadOnly or ReadWrite'), 'None'),
})

const vmSchema = closedObject({
  name: nameSchema,
  /** One of `resourceGroups`. */
  resourceGroup: v.string('name one of the resourceGroups'),
  /** Default: that of the resource group. */
  location: v.optional(locationSchema),
  osType: v.picklist(['Linux', 'Windows'], 'use "Linux" or "Windows"'),
  size: v.optional(v.string('name a VM size, such as "Standard_D2s_v5"'), 'Standard_D2s_v5'),
  tags: v.optional(tagsSchema),
  hyperVGeneration: v.optional(v.picklist(['V1', 'V2'], 'use "V1" or "V2"'), 'V2'),
  /** Marketplace image that the VM came from, given back as it is. */
  imageReference: v.optional(
    v.record(v.string(), v.unknown(), 'write an object such as {"publisher": …, "offer": …, "sku": …}'),
  ),
  /** Power state when the VM is first seen; afterwards it is what start and deallocate made of it. */
  powerState: v.optional(
    v.picklist(['running', 'stopped', 'deallocated'], 'use "running", "stopped" or "deallocated"'),
    'running',
  ),
  disks: v.pipe(v.array(diskSchema, 'list the disks'), v.minLength(1, 'list at least the disk with lun "os"')),
})

const fleetSchema = closedObject({
  /** Id of the subscription. */
  subscription: v.pipe(v.string('give the subscription id, a GUID'), v.uuid('give the subscription id, a GUID')),
  resourceGroups: v.pipe(
    v.array(closedObject({ name: nameSchema, location: locationSchema }), 'list the resource groups'),
    v.minLength(1, 'list at least one resource group'),
  ),
  virtualMachines: v.array(vmSchema, 'list the virtual machines'),
  /** Backup policies; the emulator hands them on untouched. */
  policies: v.optional(v.unknown()),
})

export type FleetDisk = v.InferOutput<typeof diskSchema> & { readonly imagePath: string; readonly sizeBytes: number }
export type FleetVm = Omit<v.InferOutput<typeof vmSchema>, 'disks' | 'location'> & {
  readonly location: string
  readonly disks: readonly FleetDisk[]
}

/** A fleet file that was found to be right: image paths absolute, locations filled in. */
export interface Fleet {
  readonly path: string
  readonly subscription: string
  readonly resourceGroups: readonly { readonly name: string; readonly location: string }[]
  readonly virtualMachines: readonly FleetVm[]
  readonly policies: unknown
}

export interface FleetProblem {
  /** Path of the field, such as `virtualMachines.0.disks.1.image`; empty for the file itself. */
  readonly field: string
  readonly fix: string
}

/** Says everything that is wrong with a fleet file, one line a problem. */
export class FleetError extends Error {
  override readonly name = 'FleetError'
  readonly problems: readonly FleetProblem[]
  constructor(path: string, problems: readonly FleetProblem[]) {
    const lines = problems.map(({ field, fix }) => `  ${field === '' ? 'file' : field}: ${fix}`)
    super(`The fleet file ${path} cannot be used:\n${lines.join('\n')}`)
    this.problems = problems
  }
}

/** Reads a fleet file. Image sizes are those of now. @throws FleetError with every problem at once */
export const readFleet = async (path: string): Promise<Fleet> => {
  const absolute = resolve(path)
  const result = v.safeParse(fleetSchema, await readJson(absolute))
  if (!result.success) throw new FleetError(path, result.issues.map(problemOf))
  const { virtualMachines, resourceGroups } = result.output
  const problems = [...namingProblems(result.output)]
  const vms: FleetVm[] = []
  for (const [index, vm] of virtualMachines.entries()) {
    const group = resourceGroups.find(({ name }) => name.toLowerCase() === vm.resourceGroup.toLowerCase())
    const disks = await withImages(dirname(absolute), `virtualMachines.${index}`, vm.disks, problems)
    vms.push({ ...vm, location: vm.location ?? group?.location ?? '', disks })
  }
  problems.push(...sharedImages(vms))
  if (problems.length > 0) throw new FleetError(path, problems)
  return { policies: undefined, ...result.output, path: absolute, virtualMachines: vms }
}

const readJson = async (path: string): Promise<unknown> => {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new FleetError(path, [
      { field: '', fix: `it cannot be read (${(error as NodeJS.ErrnoException).code}); give the path of a fleet file` },
    ])
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new FleetError(path, [{ field: '', fix: `it is not JSON: ${(error as Error).message}` }])
  }
}

const problemOf = (issue: v.BaseIssue<unknown>): FleetProblem => ({
  field: v.getDotPath(issue) ?? '',
  fix: issue.message,
})

function* namingProblems(fleet: v.InferOutput<typeof fleetSchema>): Generator<FleetProblem> {
  const groups = new Set(fleet.resourceGroups.map(({ name }) => name.toLowerCase()))
  const vmNames = new Set<string>()
  const diskNames = new Set<string>()
  for (const [index, vm] of fleet.virtualMachines.entries()) {
    const field = `virtualMachines.${index}`
    const group = vm.resourceGroup.toLowerCase()
    if (!groups.has(group))
      yield {
        field: `${field}.resourceGroup`,
        fix: `"${vm.resourceGroup}" is none of the resourceGroups; add it there`,
      }
    if (!added(vmNames, `${group}/${vm.name}`))
      yield { field: `${field}.name`, fix: `"${vm.name}" is taken in this group; choose another` }
    if (vm.disks.filter(({ lun }) => lun === 'os').length !== 1)
      yield { field: `${field}.disks`, fix: 'give exactly one disk the lun "os"' }
    const luns = new Set<string>()
    for (const [place, disk] of vm.disks.entries()) {
      if (!added(diskNames, `${group}/${disk.name}`))
        yield { field: `${field}.disks.${place}.name`, fix: `"${disk.name}" is taken in this group; choose another` }
      if (disk.lun !== 'os' && !added(luns, String(disk.lun)))
        yield { field: `${field}.disks.${place}.lun`, fix: `lun ${disk.lun} is taken on this VM; choose another` }
    }
  }
}

const added = (names: Set<string>, name: string): boolean => {
  const key = name.toLowerCase()
  const isNew = !names.has(key)
  names.add(key)
  return isNew
}

const withImages = async (
  folder: string,
  field: string,
  disks: readonly v.InferOutput<typeof diskSchema>[],
  problems: FleetProblem[],
): Promise<FleetDisk[]> => {
  const found: FleetDisk[] = []
  for (const [place, disk] of disks.entries()) {
    const imagePath = resolve(folder, disk.image)
    const at = `${field}.disks.${place}.image`
    const stats = await stat(imagePath).catch(() => null)
    if (stats === null) problems.push({ field: at, fix: `"${disk.image}" does not exist; make it or correct the path` })
    else if (!stats.isFile()) problems.push({ field: at, fix: `"${disk.image}" is not an ordinary file` })
    else if (stats.size === 0 || stats.size % sectorBytes !== 0)
      problems.push({
        field: at,
        fix: `"${disk.image}" has ${stats.size} bytes; a raw image has a multiple of ${sectorBytes}, and more than none`,
      })
    found.push({ ...disk, imagePath, sizeBytes: stats?.size ?? 0 })
  }
  return found
}

const sharedImages = (vms: readonly FleetVm[]): FleetProblem[] => {
  const seen = new Set<string>()
  return vms.flatMap((vm, index) =>
    vm.disks.flatMap((disk, place) => {
      const isNew = !seen.has(disk.imagePath)
      seen.add(disk.imagePath)
      const field = `virtualMachines.${index}.disks.${place}.image`
      return isNew
        ? []
        : [{ field, fix: `"${disk.image}" is the image of another disk already; each disk has its own` }]
    }),
  )
}
