import type { BackupJob, SourceKind } from '../domain/job.ts'
import type { Failed, JobRef, Pending, Stopped } from '../domain/job-ref.ts'
import type { Consistency } from '../domain/vm.ts'
import type { SnapshotSet } from '../ports/compute.ts'
import { type BackupPlan, planMissing, readBackupPlan, readSources } from './backup-plan.ts'
import { claimOf } from './claim.ts'
import { sourcesName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { decideOnce } from './json-object.ts'

/** What a step that takes the sources answers. */
export type SourcesTaken =
  | {
      readonly kind: 'ready'
      readonly asked: Consistency
      readonly consistency: Consistency
      readonly consistentAcrossDisks: boolean
      readonly takenAt: string
    }
  | Pending
  | Stopped
  | Failed

/** Takes the platform's copies of all disks of the plan, or asks how far they are. Key: the recovery point; once they are recorded, no
 * attempt ever takes others. */
export const takeSources = async (
  deps: Pick<JobDeps, 'control' | 'snapshots'>,
  ref: JobRef,
  kind: SourceKind,
): Promise<SourcesTaken> => {
  const claim = await claimOf(deps.control, ref)
  if ('kind' in claim) return claim
  const plan = await readBackupPlan(deps.control, ref.recoveryPointId)
  if (plan === null) return planMissing
  const recorded = await readSources(deps.control, ref.recoveryPointId)
  if (recorded !== null) return readyOf(plan, recorded)
  if (claim.stopping !== undefined) return { kind: 'stopped', reason: claim.stopping }
  return takeFor(deps, plan, kind)
}

/** The same for a plan that this very run has made, so that the job had not ended and nothing can be recorded yet but by a twin, who takes the same copies. */
export const takeFor = async (
  deps: Pick<JobDeps, 'control' | 'snapshots'>,
  plan: BackupPlan,
  kind: SourceKind,
): Promise<SourcesTaken> => {
  const taken = await deps.snapshots[kind].ensure(requestOf(plan, plan.job))
  if (taken.kind !== 'ready') return taken
  return readyOf(plan, await decideOnce(deps.control, sourcesName(plan.job.recoveryPointId), taken.snapshots))
}

const requestOf = (plan: BackupPlan, job: BackupJob) => ({
  vm: plan.vm,
  recoveryPointId: job.recoveryPointId,
  consistency: job.consistency,
  disks: plan.disks.map(({ disk }) => disk),
})

const readyOf = ({ job }: BackupPlan, sources: SnapshotSet): SourcesTaken => ({
  kind: 'ready',
  asked: job.consistency,
  consistency: sources.consistency,
  consistentAcrossDisks: sources.kind === 'restorePoint',
  takenAt: sources.takenAt,
})
