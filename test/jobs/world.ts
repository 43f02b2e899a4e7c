import type { ChangedRange } from '../../shared/domain/extent.ts'
import { maintenanceInstanceId, vmKeyOf } from '../../shared/domain/ids.ts'
import type { BackupJob, Claim } from '../../shared/domain/job.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import type { JobDeps } from '../../shared/jobs/job-deps.ts'
import type { InstanceStatus, JobInstances } from '../../shared/jobs/job-instances.ts'
import type { VmSnapshots } from '../../shared/ports/compute.ts'
import { type DiskReader, SourceError } from '../../shared/ports/disk-reader.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import { createFakeKeyWrapper, type FakeKeyWrapper, noWrappers, onlyWrapper } from '../support/fake-key-wrapper.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { memoryDiskReader, memoryDiskWriter } from '../support/memory-disk.ts'
import { virtualClock } from '../support/virtual-clock.ts'

export const mib = 1024 * 1024
const page = 4096
const subscription = '00000000-0000-0000-0000-000000000001'
const group = `/subscriptions/${subscription}/resourceGroups/rg`
export const vmId = `${group}/providers/Microsoft.Compute/virtualMachines/web-1`

/** A running Linux VM with an OS disk and one data disk. */
export const sampleVm = (id = vmId): VmDescription => ({
  vmId: id,
  vmKey: vmKeyOf(id),
  name: id.slice(id.lastIndexOf('/') + 1),
  location: 'westeurope',
  resourceGroup: 'rg',
  osType: 'Linux',
  hyperVGeneration: 'V2',
  isRunning: true,
  tags: { backup: 'daily' },
  imageReference: null,
  disks: ['os', 'lun-0'].map((disk) => ({
    disk,
    name: `web-1-${disk}`,
    diskId: `${group}/providers/Microsoft.Compute/disks/web-1-${disk}`,
    uniqueId: `unique-${disk}`,
    sizeBytes: 4 * mib,
    sku: 'Premium_LRS',
    zones: [],
    caching: null,
  })),
  unsupported: [],
  configuration: {},
})

/** A platform in memory: the VM's disks, their copies, the live accesses, and counts of what was asked of it. */
export interface FakePlatform {
  vms: VmDescription[]
  /** VMs that a selection described. */
  readonly described: string[]
  readonly disks: Map<string, Buffer>
  readonly copies: Map<string, Buffer>
  /** SAS URLs that are live, by resource. */
  readonly live: Map<string, string>
  readonly targets: Map<string, { readonly bytes: Buffer; state: 'uploading' | 'usable'; footer: boolean }>
  /** Answers to give before the real one: `pending` or `failed` outcomes by call name. */
  readonly answers: Map<string, unknown[]>
  restorePointsMade: number
  /** Whether the platform can compare two copies. */
  canDiff: boolean
  /** Thrown by the next reads. */
  readonly readFaults: SourceError[]
  family: string | null
}

export interface FakeWorld extends JobDeps {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
  readonly wrapper: FakeKeyWrapper
  readonly clock: JobDeps['clock'] & { advance(milliseconds: number): void }
  readonly platform: FakePlatform
}

/** All ports in memory, with one VM.
 * @param encryption whether the app has a wrapping key */
export const fakeWorld = ({ encryption = false } = {}): FakeWorld => {
  const clock = virtualClock('2026-03-10T02:00:00.000Z')
  const platform: FakePlatform = {
    vms: [sampleVm()],
    described: [],
    disks: new Map(),
    copies: new Map(),
    live: new Map(),
    targets: new Map(),
    answers: new Map(),
    restorePointsMade: 0,
    canDiff: true,
    readFaults: [],
    family: 'family',
  }
  for (const { disk, sizeBytes } of sampleVm().disks) platform.disks.set(disk, Buffer.alloc(sizeBytes))
  const [vault, control, wrapper] = [createMemoryBlobStore(), createMemoryBlobStore(), createFakeKeyWrapper()]
  let tokens = 0
  let grants = 0
  const planned = (call: string) => platform.answers.get(call)?.shift()
  return {
    clock,
    newToken: () => `token-${++tokens}`,
    vault,
    control,
    wrapper,
    keys: createVaultKeys({ vault, control, clock, wrappers: encryption ? onlyWrapper(wrapper) : noWrappers }),
    platform,
    inventory: {
      find: async (id) => platform.vms.find((vm) => vm.vmId.toLowerCase() === id.toLowerCase()) ?? null,
      select: async function* (selection, isWanted = async () => true) {
        for (const vm of platform.vms) {
          if (!Object.entries(selection.tags ?? {}).every(([name, value]) => vm.tags[name] === value)) continue
          if (!(await isWanted(vm.vmId))) continue
          platform.described.push(vm.vmId)
          yield vm
        }
      },
    },
    snapshots: {
      restorePoints: fakeSnapshots(platform, 'restorePoint', planned, () => clock.now()),
      diskSnapshots: fakeSnapshots(platform, 'diskSnapshots', planned, () => clock.now()),
    },
    access: {
      grantRead: async (id) => {
        const answer = planned('grantRead')
        if (answer !== undefined) return answer as never
        if (!platform.copies.has(id)) return { kind: 'failed', reason: 'not-found', message: 'gone', hint: 'none' }
        const sasUrl = platform.live.get(id) ?? `https://disks.invalid${id}?sig=SECRET-${++grants}`
        platform.live.set(id, sasUrl)
        return { kind: 'granted', sasUrl }
      },
      revoke: async (id) => {
        const answer = planned('revoke')
        if (answer !== undefined) return answer as never
        platform.live.delete(id)
        return { kind: 'revoked' }
      },
      exists: async (id) => platform.copies.has(id),
      forget: (id) => void platform.live.delete(id),
    },
    restoreDisks: {
      open: async (request) => {
        const answer = planned('open')
        if (answer !== undefined) return answer as never
        const known = platform.targets.get(request.diskId)
        if (known?.state === 'usable') return { kind: 'failed', reason: 'not-an-upload', message: 'done', hint: 'none' }
        if (known === undefined)
          platform.targets.set(request.diskId, {
            bytes: memoryDiskWriter(request.sizeBytes).bytes,
            state: 'uploading',
            footer: false,
          })
        platform.live.set(request.diskId, `https://disks.invalid${request.diskId}?sig=SECRET-W`)
        return { kind: 'open', sasUrl: platform.live.get(request.diskId)! }
      },
      finish: async (id) => {
        const answer = planned('finish')
        if (answer !== undefined) return answer as never
        platform.live.delete(id)
        const target = platform.targets.get(id)
        if (target !== undefined) target.state = 'usable'
        return { kind: 'finished' }
      },
    },
    openReader: (sasUrl, baseSasUrl) => readerOf(platform, sasUrl, baseSasUrl),
    openWriter: (sasUrl) => writerOf(platform, sasUrl),
    limits: { sliceBytes: mib, lanesMax: 4, accessSeconds: 3600 },
  }
}

const fakeSnapshots = (
  platform: FakePlatform,
  kind: 'restorePoint' | 'diskSnapshots',
  planned: (call: string) => unknown,
  now: () => Date,
): VmSnapshots => ({
  ensure: async ({ recoveryPointId, consistency, disks }) => {
    const answer = planned('ensure')
    if (answer !== undefined) return answer as never
    const idOf = (disk: string) => `/${kind}/${recoveryPointId}/${disk}`
    if (!platform.copies.has(idOf(disks[0]!))) {
      platform.restorePointsMade += 1
      for (const disk of disks) platform.copies.set(idOf(disk), Buffer.from(platform.disks.get(disk)!))
    }
    return {
      kind: 'ready',
      snapshots: {
        kind,
        restorePointId: kind === 'restorePoint' ? `/rp/${recoveryPointId}` : null,
        consistency,
        takenAt: now().toISOString(),
        disks: disks.map((disk) => ({
          disk,
          source: {
            kind: kind === 'restorePoint' ? 'diskRestorePoint' : 'diskSnapshot',
            resourceId: idOf(disk),
            familyId: platform.family,
            sourceUniqueId: platform.vms[0]!.disks.find((vmDisk) => vmDisk.disk === disk)!.uniqueId,
          },
        })),
      },
    }
  },
  release: async (_vm, keep) => {
    const answer = planned('release')
    if (answer !== undefined) return answer as never
    const gone = [...platform.copies.keys()].filter(
      (id) => id.startsWith(`/${kind}/`) && !keep.some((id2) => id.includes(id2)),
    )
    for (const id of gone) platform.copies.delete(id)
    return { kind: 'released', removed: gone.length }
  },
})

const resourceOf = (platform: FakePlatform, sasUrl: string): string => {
  const found = [...platform.live].find(([, url]) => url === sasUrl)
  if (found === undefined) throw new SourceError({ code: 'access-ended' })
  return found[0]
}

const readerOf = (platform: FakePlatform, sasUrl: string, baseSasUrl: string | null): DiskReader => {
  const bytes = platform.copies.get(resourceOf(platform, sasUrl))!
  const base = baseSasUrl === null ? null : platform.copies.get(resourceOf(platform, baseSasUrl))!
  const reader = memoryDiskReader(bytes, rangesOf(bytes, base))
  const check = () => {
    const fault = platform.readFaults.shift()
    if (fault !== undefined) throw fault
    resourceOf(platform, sasUrl)
  }
  return {
    ...reader,
    async *listRanges(window, options) {
      check()
      if (base !== null && !platform.canDiff) throw new SourceError({ code: 'diff-unsupported', serviceCode: 'X' })
      yield* reader.listRanges(window, options)
    },
    readInto: async (target, offsetBytes, options) => {
      check()
      await reader.readInto(target, offsetBytes, options)
    },
  }
}

/** The 4 KiB pages that differ from the base, or from zeros. */
const rangesOf = (bytes: Buffer, base: Buffer | null): readonly ChangedRange[] => {
  const ranges: ChangedRange[] = []
  const zeros = Buffer.alloc(page)
  for (let offsetBytes = 0; offsetBytes < bytes.length; offsetBytes += page) {
    const before = base?.subarray(offsetBytes, offsetBytes + page) ?? zeros
    if (!bytes.subarray(offsetBytes, offsetBytes + page).equals(before))
      ranges.push({ kind: 'data', offsetBytes, lengthBytes: page })
  }
  return ranges
}

const writerOf = (platform: FakePlatform, sasUrl: string) => {
  const target = platform.targets.get(resourceOf(platform, sasUrl))!
  const writer = memoryDiskWriter(target.bytes.length)
  return {
    ...writer,
    write: async (offsetBytes: number, bytes: Uint8Array) => {
      target.bytes.set(bytes, offsetBytes)
      await writer.write(offsetBytes, bytes)
    },
    writeFooter: async () => {
      target.footer = true
    },
  }
}

/** An engine whose instances are what the test says. */
export const fakeInstances = (): JobInstances & {
  readonly statuses: Map<string, InstanceStatus>
  readonly started: Claim[]
  readonly cancelled: string[]
} => {
  const statuses = new Map<string, InstanceStatus>()
  const started: Claim[] = []
  const cancelled: string[] = []
  return {
    statuses,
    started,
    cancelled,
    status: async (id) => statuses.get(id) ?? null,
    start: async (claim) => {
      const id = `${claim.job.jobId}.${claim.attempt}`
      if (statuses.get(id)?.state === 'running') return 'exists'
      started.push(claim)
      statuses.set(id, { state: 'running', runtimeStatus: 'Running', customStatus: null })
      return 'started'
    },
    cancel: async (id) => void cancelled.push(id),
    startMaintenance: async (pass) => {
      if (statuses.get(maintenanceInstanceId)?.state === 'running') return 'exists'
      statuses.set(maintenanceInstanceId, { state: 'running', runtimeStatus: 'Running', customStatus: pass })
      return 'started'
    },
  }
}

/** A backup job of the sample VM. */
export const sampleJob = (cause = 'cause', at = '2026-03-10T02:00:00.000Z'): BackupJob =>
  backupJobOf(sampleVm(), defaultChoices, {
    trigger: 'onDemand',
    policy: null,
    at: new Date(at),
    cause,
    now: new Date(at),
    windowHours: 24,
  })
