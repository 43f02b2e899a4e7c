import type { JobOutcome, RestoreJob } from '../../shared/domain/job.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { readClaim } from '../../shared/jobs/claim.ts'
import { endJob } from '../../shared/jobs/finish-job.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { writeIntent } from '../../shared/vault/intents.ts'
import { readRecoveryPoint, readRevision } from '../../shared/vault/recovery-points.ts'
import { givenUp } from './random-history-backup.ts'
import { type History, launch, metDamage } from './random-history-model.ts'
import type { HistoryDeps } from './random-history-world.ts'
import type { SeededRandom } from './seeded-random.ts'
import { restoreDisk } from './vault-world.ts'

/** Restores a recovery point as a job would: under a claim, behind an intent, in the revision that was the newest then. */
export const restorePoint = async (
  history: History,
  random: SeededRandom,
  recoveryPointId: string,
): Promise<string> => {
  const { counts, deadRestores, world } = history
  const { vmKey = '' } = world.platform.taken.get(recoveryPointId) ?? {}
  counts.restores += 1
  const jobId = `restore-${counts.restores}`
  const job = { kind: 'restore', jobId, vmKey, recoveryPointId, disks: [], location: '', requestedAt: '' } as const
  const run = async (deps: HistoryDeps): Promise<string> => {
    await startJob(deps, job)
    const came = await restoreAll(history, random, deps, job).catch((error: unknown) => {
      if (metDamage(history, error) || isUnprotected(history, jobId, error)) return `meets damage (${error.message})`
      throw error
    })
    await endRestore(deps, job, { kind: 'completed', recoveryPointId, summary })
    // One whose claim is brought back later is ended then.
    if (history.everDamaged.has(`claims/${jobId}`)) deadRestores.push(job)
    return came
  }
  return launch(history, random, { told: recoveryPointId, run, died: () => void deadRestores.push(job) })
}

const summary = { consistency: null, consistentAcrossDisks: true, disks: [] }

/** As the supervisor ends a restore that died. Repeatable. */
export const endRestore = async (deps: HistoryDeps, job: RestoreJob, outcome: JobOutcome = givenUp): Promise<void> => {
  const held = await readClaim(deps.control, job)
  if (held !== null) await endJob(deps, held, outcome)
}

/** A restore whose claim is lost is one that nobody knows: the next pass drops its intent, and may remove what it reads. */
const isUnprotected = ({ everDamaged }: History, jobId: string, error: unknown): error is VaultError =>
  everDamaged.has(`claims/${jobId}`) && error instanceof VaultError && error.fault.code === 'object-missing'

const restoreAll = async (
  history: History,
  random: SeededRandom,
  { vault, control, keys }: HistoryDeps,
  { jobId, vmKey, recoveryPointId }: RestoreJob,
): Promise<string> => {
  await writeIntent(control, { kind: 'restore', id: jobId, vmKey, dependsOn: [recoveryPointId] })
  const found = await readRecoveryPoint(vault, { vmKey, recoveryPointId })
  if (found === null && history.states.get(recoveryPointId) === 'committed' && !history.everUnsure.has(recoveryPointId))
    throw new Error(`${recoveryPointId} is gone`)
  if (found === null) return 'there is none'
  for (const [disk, bytes] of history.world.platform.taken.get(recoveryPointId)?.disks ?? []) {
    const again = await readRevision(vault, { vmKey, recoveryPointId }, found.recoveryPoint.revision, {})
    if (again === null || !('disks' in again.record)) {
      if (history.everUnsure.has(recoveryPointId) || history.everDamaged.has(`claims/${jobId}`))
        return 'its record is lost'
      throw new Error(`${recoveryPointId} went while it was restored`)
    }
    const restored = await restoreDisk(vault, again.record, disk, 16_384 * (1 + random.below(4)), await keys.ring())
    if (!restored.equals(bytes)) throw new Error(`${recoveryPointId}/${disk} is not restored to what was copied`)
  }
  return 'exact'
}
