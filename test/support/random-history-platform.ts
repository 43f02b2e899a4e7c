import type { ChangedRange } from '../../shared/domain/extent.ts'
import { failed } from '../../shared/domain/job-ref.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import type { JobDeps } from '../../shared/jobs/job-deps.ts'
import type { VmSnapshots } from '../../shared/ports/compute.ts'
import { type DiskReader, SourceError } from '../../shared/ports/disk-reader.ts'
import { memoryDiskReader } from './memory-disk.ts'
import type { SeededRandom } from './seeded-random.ts'

/** A disk of a VM as its guest has it at the moment. */
export interface PlatformDisk {
  bytes: Buffer
  /** Another one for a disk that was made anew. */
  uniqueId: string
}

export interface PlatformVm {
  readonly vmId: string
  readonly vmKey: string
  readonly image: string | null
  readonly disks: Map<string, PlatformDisk>
  /** Taken from the VM; they can be copied all the same. */
  readonly detached: Map<string, PlatformDisk>
}

/** What the platform's copies of one recovery point hold, by disk: what it must restore to. */
export type Taken = ReadonlyMap<string, Buffer>

/** A compute platform in memory with some VMs. */
export interface HistoryPlatform {
  readonly vms: PlatformVm[]
  /** Copies that are there, by resource id. */
  readonly copies: Map<string, Buffer>
  /** All copies that were ever taken, by recovery point. */
  readonly taken: Map<string, { readonly vmKey: string; readonly disks: Taken }>
  /** Whether it can compare two copies. */
  canDiff: boolean
}

type PlatformPorts = Pick<JobDeps, 'access' | 'inventory' | 'openReader' | 'snapshots'>

const page = 4096
const zeros = Buffer.alloc(page)

/** The ports of jobs over the platform. What may differ from one listing to the next is drawn. */
export const portsOf = (platform: HistoryPlatform, random: SeededRandom): PlatformPorts => ({
  inventory: {
    find: async (vmId) => describeVm(platform, vmId),
    select: async function* () {
      for (const { vmId } of platform.vms) yield describeVm(platform, vmId)
    },
  },
  snapshots: { restorePoints: snapshotsOf(platform), diskSnapshots: snapshotsOf(platform) },
  access: {
    grantRead: async (id) => (platform.copies.has(id) ? { kind: 'granted', sasUrl: id } : gone),
    revoke: async () => ({ kind: 'revoked' }),
    exists: async (id) => platform.copies.has(id),
    forget: () => undefined,
  },
  openReader: (id, baseId) => readerOf(platform, random, id, baseId),
})

const gone = failed('copy-gone', 'The copy does not exist.', 'None.')

const idOf = (recoveryPointId: string, disk: string): string => `/copies/${recoveryPointId}/${disk}`

export const describeVm = (platform: HistoryPlatform, vmId: string): VmDescription => {
  const vm = platform.vms.find((candidate) => candidate.vmId === vmId)
  if (vm === undefined) throw new Error(`there is no ${vmId}`)
  return {
    vmId,
    vmKey: vm.vmKey,
    name: vmId,
    location: 'westeurope',
    resourceGroup: 'g',
    osType: 'Linux',
    hyperVGeneration: 'V2',
    isRunning: true,
    tags: {},
    imageReference: vm.image,
    disks: [...vm.disks].map(([disk, { bytes, uniqueId }]) => ({
      disk,
      name: disk,
      diskId: `${vmId}/${disk}`,
      uniqueId,
      sizeBytes: bytes.length,
      sku: 'Premium_LRS',
      zones: [],
      caching: null,
    })),
    unsupported: [],
    configuration: {},
  }
}

const snapshotsOf = (platform: HistoryPlatform): VmSnapshots => ({
  ensure: async ({ vm, recoveryPointId, disks }) => {
    const found = platform.vms.find(({ vmId }) => vmId === vm.vmId)
    if (found === undefined) throw new Error(`there is no ${vm.vmId}`)
    if (!platform.taken.has(recoveryPointId)) {
      const bytes = new Map(disks.map((disk) => [disk, Buffer.from(diskOf(found, disk).bytes)]))
      platform.taken.set(recoveryPointId, { vmKey: vm.vmKey, disks: bytes })
      for (const [disk, copy] of bytes) platform.copies.set(idOf(recoveryPointId, disk), copy)
    }
    const sources = disks.map((disk) => ({
      disk,
      source: {
        kind: 'diskRestorePoint' as const,
        resourceId: idOf(recoveryPointId, disk),
        familyId: null,
        sourceUniqueId: diskOf(found, disk).uniqueId,
      },
    }))
    const at = { restorePointId: recoveryPointId, consistency: 'crash' as const, takenAt: '2026-01-01T00:00:00.000Z' }
    return { kind: 'ready', snapshots: { kind: 'restorePoint', ...at, disks: sources } }
  },
  release: async ({ vmKey }, keep) => {
    let removed = 0
    for (const [recoveryPointId, taken] of platform.taken)
      if (taken.vmKey === vmKey && !keep.includes(recoveryPointId))
        for (const disk of taken.disks.keys()) removed += platform.copies.delete(idOf(recoveryPointId, disk)) ? 1 : 0
    return { kind: 'released', removed }
  },
})

const diskOf = ({ disks, detached }: PlatformVm, label: string): PlatformDisk => {
  const disk = disks.get(label) ?? detached.get(label)
  if (disk === undefined) throw new Error(`there is no disk ${label}`)
  return disk
}

const readerOf = (platform: HistoryPlatform, random: SeededRandom, id: string, baseId: string | null): DiskReader => {
  const bytes = platform.copies.get(id)
  const base = baseId === null ? null : (platform.copies.get(baseId) ?? null)
  if (bytes === undefined || (baseId !== null && base === null)) throw new SourceError({ code: 'gone' })
  const reader = memoryDiskReader(bytes, [])
  return {
    ...reader,
    listRanges: async function* (window, options) {
      if (base !== null && !platform.canDiff) throw new SourceError({ code: 'diff-unsupported', serviceCode: 'X' })
      yield* memoryDiskReader(bytes, rangesOf(bytes, base, random), 1 + random.below(40)).listRanges(window, options)
    },
  }
}

/** What differs from the base, or from zeros, in sectors or pages, and a little that does not. */
const rangesOf = (bytes: Buffer, base: Buffer | null, random: SeededRandom): ChangedRange[] => {
  const unit = random.below(4) === 0 ? 512 : page
  const ranges: ChangedRange[] = []
  for (let offsetBytes = 0; offsetBytes < bytes.length; offsetBytes += unit) {
    const end = Math.min(bytes.length, offsetBytes + unit)
    if (!differs(bytes, base, offsetBytes, end) && random.below(40) > 0) continue
    const isZero = bytes.compare(zeros, 0, end - offsetBytes, offsetBytes, end) === 0
    const kind = base !== null && isZero && random.below(3) > 0 ? 'clear' : 'data'
    const last = ranges.at(-1)
    const touches = last?.kind === kind && last.offsetBytes + last.lengthBytes === offsetBytes
    if (last !== undefined && touches && random.below(8) > 0)
      ranges[ranges.length - 1] = { ...last, lengthBytes: end - last.offsetBytes }
    else ranges.push({ kind, offsetBytes, lengthBytes: end - offsetBytes })
  }
  return ranges
}

/** What the base has not reads as zeros. */
const differs = (bytes: Buffer, base: Buffer | null, begin: number, end: number): boolean => {
  const middle = Math.max(begin, Math.min(end, base?.length ?? 0))
  if (base !== null && middle > begin && bytes.compare(base, begin, middle, begin, middle) !== 0) return true
  return middle < end && bytes.compare(zeros, 0, end - middle, middle, end) !== 0
}
