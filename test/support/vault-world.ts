import type { ChangedRange } from '../../shared/domain/extent.ts'
import type { CommittedDisk, LayerReference, RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { VmDescription } from '../../shared/domain/vm.ts'
import { type KeyRing, noKeys } from '../../shared/format/data-key.ts'
import type { FrameEncoding } from '../../shared/format/frame.ts'
import type { BlobReader, ControlStore } from '../../shared/ports/blob-store.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import { commitRecoveryPoint } from '../../shared/vault/commit-recovery-point.ts'
import { dropIntent, writeIntent } from '../../shared/vault/intents.ts'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { restoreRange } from '../../shared/vault/restore-range.ts'
import { sealDisk } from '../../shared/vault/seal-disk.ts'
import { transferSlice } from '../../shared/vault/transfer-slice.ts'
import type { TransferTuning } from '../../shared/vault/transfer-tuning.ts'
import { memoryDiskReader, memoryDiskWriter } from './memory-disk.ts'

export const vmKey = 'vm-000000000000'
export const mib = 1024 * 1024

/** Small limits, so that a small disk has many frames, segments, shards, slices and reads. */
export const tinyTuning: Partial<TransferTuning> = {
  gapBytes: 8 * 1024,
  readBytesMax: 64 * 1024,
  readAheadBytes: 256 * 1024,
  readsInFlightMax: 5,
  frameCapacityBytes: 32 * 1024,
  segmentBytes: 100 * 1024,
  shardFramesMax: 3,
  shardRunsMax: 40,
}

/** A disk at the moment of a backup: its bytes and what the platform names as changed since the base (or as allocated). */
export interface DiskAtBackup {
  readonly disk: string
  readonly bytes: Buffer
  readonly ranges: readonly ChangedRange[]
}

export interface Stores {
  readonly vault: ControlStore
  readonly control: ControlStore
  readonly clock: Clock
}

export interface BackupOrder {
  readonly recoveryPointId: string
  readonly disks: readonly DiskAtBackup[]
  /** Full where null. */
  readonly base: RecoveryPoint | null
  readonly sliceBytes?: number
  readonly rangesPerSlice?: number
  readonly tuning?: Partial<TransferTuning>
  /** zstd and no encryption where absent. */
  readonly encoding?: FrameEncoding
  /** The random part of the nonces, for bytes that come out the same again. */
  readonly drawNonce?: () => Uint8Array
  /** Told of each slice whose data was moved by this run, not found. */
  readonly onMoved?: (disk: string, slice: number) => void
}

const defaultEncoding: FrameEncoding = { compression: 'zstd', key: null }

/** One whole backup in the order of the real story, safe to run again after any failure. */
export const backUp = async (stores: Stores, order: BackupOrder): Promise<RecoveryPoint> => {
  const { recoveryPointId, base } = order
  const dependsOn = base === null ? [] : [base.recoveryPointId]
  await writeIntent(stores.control, { kind: 'backup', id: recoveryPointId, vmKey, dependsOn })
  const disks: CommittedDisk[] = []
  for (const disk of order.disks) disks.push(await transferDisk(stores, order, disk))
  const before = await latestRecoveryPoint(stores.vault, vmKey)
  const previous = before === null || before.recoveryPoint.recoveryPointId === recoveryPointId ? null : before
  const committed = await commitRecoveryPoint(stores, {
    recoveryPointId,
    vmKey,
    jobId: `backup-${recoveryPointId}`,
    takenAt: '2026-01-01T00:00:00.000Z',
    committedAt: stores.clock.now().toISOString(),
    consistency: 'crash',
    consistentAcrossDisks: true,
    baseRecoveryPointId: base?.recoveryPointId ?? null,
    previous: previous && { recoveryPointId: previous.recoveryPoint.recoveryPointId, digest: previous.digest },
    keyId: order.encoding?.key?.keyId ?? null,
    vm: sampleVm(order.disks),
    disks,
  })
  if (committed.kind !== 'committed') throw new Error('the recovery point was fenced off')
  await dropIntent(stores.control, recoveryPointId)
  return committed.recoveryPoint
}

const transferDisk = async (stores: Stores, order: BackupOrder, disk: DiskAtBackup): Promise<CommittedDisk> => {
  const parent = order.base?.disks.find((candidate) => candidate.disk === disk.disk)
  const key = { recoveryPointId: order.recoveryPointId, disk: disk.disk }
  const reader = memoryDiskReader(disk.bytes, disk.ranges)
  const limits = order.rangesPerSlice === undefined ? {} : { rangesPerSlice: order.rangesPerSlice }
  const request = { ...key, hasBase: parent !== undefined, sliceBytes: order.sliceBytes ?? mib, ...limits }
  const plan = await planDisk({ ...stores, reader }, request)
  for (let slice = 0; slice < plan.slices; slice += 1) {
    const readCalls = reader.counters.readCalls
    const { tuning = {}, encoding = defaultEncoding, drawNonce } = order
    const deps = { ...stores, reader, ...(drawNonce === undefined ? {} : { drawNonce }) }
    await transferSlice(deps, { ...key, jobId: 'job', slice, tuning, encoding })
    if (reader.counters.readCalls > readCalls) order.onMoved?.(disk.disk, slice)
  }
  const parentStack: readonly LayerReference[] = parent?.stack ?? []
  const sealed = await sealDisk(stores, { ...key, parentStack, fullReason: parent ? null : 'no-base' })
  const { report } = sealed
  return {
    disk: disk.disk,
    name: disk.disk,
    sizeBytes: report.sizeBytes,
    source: { kind: 'diskRestorePoint', resourceId: 'source', familyId: null, sourceUniqueId: 'unique' },
    transfer: plan.transfer,
    fullReason: report.fullReason,
    stack: sealed.stack,
    sidecar: null,
    compression: order.encoding?.compression ?? 'zstd',
    changedBytes: report.changedBytes,
    readBytes: report.readBytes,
    joinedBytes: report.joinedBytes,
    storedPlainBytes: report.storedPlainBytes,
    storedBytes: report.storedBytes,
  }
}

/** The whole disk, restored in steps of `budgetBytes` into a fresh target. */
export const restoreDisk = async (
  vault: BlobReader,
  recoveryPoint: RecoveryPoint,
  disk: string,
  budgetBytes = 64 * mib,
  keys: KeyRing = noKeys,
): Promise<Buffer> => {
  const sizeBytes = recoveryPoint.disks.find((candidate) => candidate.disk === disk)?.sizeBytes ?? 0
  const writer = memoryDiskWriter(sizeBytes)
  let fromOffsetBytes = 0
  for (;;) {
    const range = await restoreRange({ vault, writer, keys }, { recoveryPoint, disk, fromOffsetBytes, budgetBytes })
    if (range.kind === 'written') return writer.bytes
    fromOffsetBytes = range.nextOffsetBytes
  }
}

const sampleVm = (disks: readonly DiskAtBackup[]): VmDescription => ({
  vmId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm',
  vmKey,
  name: 'vm',
  location: 'westeurope',
  resourceGroup: 'g',
  osType: 'Linux',
  hyperVGeneration: 'V2',
  isRunning: true,
  tags: { stage: 'test' },
  imageReference: null,
  disks: disks.map(({ disk, bytes }) => ({
    disk,
    name: disk,
    diskId: `/disks/${disk}`,
    uniqueId: 'unique',
    sizeBytes: bytes.length,
    sku: 'Standard_LRS',
    zones: [],
    caching: null,
  })),
  unsupported: [],
  configuration: { location: 'westeurope' },
})
