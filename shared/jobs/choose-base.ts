import type { SourceKind } from '../domain/job.ts'
import type { CommittedDisk, RecoveryPoint } from '../domain/recovery-point.ts'
import type { VmDisk } from '../domain/vm.ts'
import type { PlannedDisk } from './backup-plan.ts'

/** A disk of the VM and what its transfer is compared with. Exactly one of `base` and `fullReason` is null. */
export type ChosenBase = Pick<PlannedDisk, 'base' | 'disk' | 'fullReason'>

/** Azure computes no difference between two copies of a disk that was resized across 4 TiB in between (docs: incremental snapshots,
 * restrictions). Whether exactly 4 TiB lies on this side or that is not said, so both are taken to be a crossing. */
const diffBoundaryBytes = 4 * 1024 ** 4

/** Decides what a disk's transfer can be compared with, by what the last recovery point and the platform say.
 * @param latest the VM's last committed recovery point, or null
 * @param exists asks whether the platform still has a source */
export const chooseBase = async (
  disk: VmDisk,
  source: SourceKind,
  latest: RecoveryPoint | null,
  exists: (resourceId: string) => Promise<boolean>,
): Promise<ChosenBase> => {
  const full = (fullReason: string): ChosenBase => ({ disk: disk.disk, base: null, fullReason })
  if (latest === null) return full('first-backup')
  const before = latest.disks.find((committed) => committed.disk === disk.disk)
  if (before === undefined) return full('first-backup-of-disk')
  const obstacle = obstacleOf(disk, source, before)
  if (obstacle !== null) return full(obstacle)
  if (!(await exists(before.source.resourceId))) return full('base-gone')
  return {
    disk: disk.disk,
    base: {
      recoveryPointId: latest.recoveryPointId,
      source: before.source,
      sizeBytes: before.sizeBytes,
      stack: before.stack,
    },
    fullReason: null,
  }
}

const obstacleOf = (disk: VmDisk, source: SourceKind, before: CommittedDisk): string | null => {
  if (disk.uniqueId.toLowerCase() !== before.source.sourceUniqueId.toLowerCase()) return 'disk-recreated'
  if (before.source.kind !== (source === 'restorePoints' ? 'diskRestorePoint' : 'diskSnapshot'))
    return 'source-kind-changed'
  if (crossesDiffBoundary(before.sizeBytes, disk.sizeBytes)) return 'resized-across-4-tib'
  return null
}

/** True where the platform would not compare the two sizes of a disk. */
export const crossesDiffBoundary = (oldBytes: number, newBytes: number): boolean =>
  Math.min(oldBytes, newBytes) <= diffBoundaryBytes &&
  Math.max(oldBytes, newBytes) >= diffBoundaryBytes &&
  oldBytes !== newBytes
