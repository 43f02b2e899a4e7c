import type { BackupJob, JobOutcome } from '../domain/job.ts'
import { VaultError } from '../format/vault-error.ts'
import { readRecoveryPoint } from '../vault/recovery-points.ts'
import type { JobDeps } from './job-deps.ts'
import { readSealed } from './seal-planned-disk.ts'

/** What a backup has come to whose instances ended after the commit; null where there is no commit record that can be read. */
export const committedOutcome = async (
  deps: Pick<JobDeps, 'control' | 'vault'>,
  job: BackupJob,
): Promise<JobOutcome | null> => {
  const found = await readRecoveryPoint(deps.vault, job).catch((error: unknown) => {
    if (error instanceof VaultError) return null
    throw error
  })
  if (found === null) return null
  const { recoveryPointId, consistency, consistentAcrossDisks, disks } = found.recoveryPoint
  const sealed = await Promise.all(disks.map(({ disk }) => readSealed(deps.control, { recoveryPointId, disk })))
  const reports = sealed.flatMap((one) => (one === null ? [] : [one.report]))
  return { kind: 'completed', recoveryPointId, summary: { consistency, consistentAcrossDisks, disks: reports } }
}
