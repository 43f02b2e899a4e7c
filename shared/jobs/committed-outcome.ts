import { diskReport } from '../domain/disk-report.ts'
import type { BackupJob, DiskReport, JobOutcome } from '../domain/job.ts'
import type { CommittedDisk } from '../domain/recovery-point.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import { readRecoveryPoint } from '../vault/recovery-points.ts'
import type { JobDeps } from './job-deps.ts'
import { readSealed } from './seal-planned-disk.ts'

/** What a backup has come to whose instances ended after the commit; null where there is no commit record that can be read. */
export const committedOutcome = async (
  deps: Pick<JobDeps, 'control' | 'vault'>,
  job: BackupJob,
): Promise<JobOutcome | null> => {
  const found = await readRecoveryPoint(deps.vault, job).catch(nullIfUnreadable)
  if (found === null) return null
  const { recoveryPointId, consistency, consistentAcrossDisks, disks } = found.recoveryPoint
  const reports = await Promise.all(
    disks.map(
      async (disk) => (await readSealed(deps.control, { recoveryPointId, disk: disk.disk }))?.report ?? told(disk),
    ),
  )
  return { kind: 'completed', recoveryPointId, summary: { consistency, consistentAcrossDisks, disks: reports } }
}

/** What the commit record itself tells of a disk of which nothing else is recorded. */
const told = ({ disk, transfer, fullReason, sizeBytes, ...bytes }: CommittedDisk): DiskReport => {
  const { changedBytes, readBytes, joinedBytes, storedPlainBytes, storedBytes } = bytes
  const moved = { changedBytes, readBytes, joinedBytes, storedPlainBytes, storedBytes }
  return diskReport({ disk, kind: 'transferred', transfer, fullReason, sizeBytes, ...moved })
}
