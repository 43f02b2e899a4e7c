import { vmKeyOf } from '../../../shared/domain/ids.ts'
import type { VmDescription } from '../../../shared/domain/vm.ts'

const kib = 1024
const pageBytes = 4 * kib
const group = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg'

export const subscriptionId = group.split('/')[2]!
export const vmId = `${group}/providers/Microsoft.Compute/virtualMachines/web-1`
export const vmKey = vmKeyOf(vmId)

/** Bytes of the disks. The data of `lun-0` fills several slices of 1 MiB; `lun-1` does not change after the first backup. */
const sizes: Readonly<Record<string, number>> = { os: 256 * kib, 'lun-0': 4096 * kib, 'lun-1': 128 * kib }

/** The VM with an OS disk and two data disks. */
export const sampleVm: VmDescription = {
  vmId,
  vmKey,
  name: 'web-1',
  location: 'westeurope',
  resourceGroup: 'rg',
  osType: 'Linux',
  hyperVGeneration: 'V2',
  isRunning: true,
  tags: { backup: 'daily' },
  imageReference: null,
  disks: Object.entries(sizes).map(([disk, sizeBytes]) => ({
    disk,
    name: `web-1-${disk}`,
    diskId: `${group}/providers/Microsoft.Compute/disks/web-1-${disk}`,
    uniqueId: `unique-${disk}`,
    sizeBytes,
    sku: 'Premium_LRS',
    zones: [],
    caching: null,
  })),
  unsupported: [],
  configuration: {},
}

/** What the guest's disks hold by label; the buffers are never written to again. */
export type Disks = ReadonlyMap<string, Buffer>

export const emptyDisks: Disks = new Map(Object.entries(sizes).map(([disk, bytes]) => [disk, Buffer.alloc(bytes)]))

/** Pages that the guest writes in one generation: disk, first page, count; `text` null writes zeros. */
type GuestWrite = readonly [disk: string, page: number, pages: number, text: string | null]

const generations: readonly (readonly GuestWrite[])[] = [
  [
    ['os', 0, 4, 'boot'],
    ['os', 9, 1, 'etc'],
    ['os', 30, 7, 'var'],
    ['lun-0', 3, 540, 'rows'],
    ['lun-0', 700, 1, 'log'],
    ['lun-1', 2, 3, 'still'],
  ],
  [
    ['os', 1, 1, 'new boot'],
    ['os', 32, 2, null],
    ['os', 60, 1, 'tmp'],
    ['lun-0', 100, 290, 'other rows'],
    ['lun-0', 500, 20, null],
    ['lun-0', 800, 2, 'more log'],
  ],
  [
    ['os', 0, 64, 'too late for this recovery point'],
    ['lun-0', 90, 40, 'too late'],
    ['lun-1', 2, 1, 'too late'],
  ],
]

/** The disks after the guest's writes of one generation. The guest writes right after each restore point was taken, so whoever reads
 * the disks instead of their copies, or takes another restore point, is found out. */
export const afterGuestWrites = (disks: Disks, generation: number): Disks => {
  const next = new Map([...disks].map(([disk, bytes]) => [disk, Buffer.from(bytes)]))
  for (const [disk, page, pages, text] of generations[Math.min(generation, generations.length - 1)]!)
    for (let at = page; at < page + pages; at += 1) {
      const target = next.get(disk)!.subarray(at * pageBytes, (at + 1) * pageBytes)
      if (text === null) target.fill(0)
      else target.fill(`${text} ${generation}/${at}|`)
    }
  return next
}
