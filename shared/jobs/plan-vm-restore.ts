import type { RestoreJob } from '../domain/job.ts'
import { type Failed, failed, refOf, superseded } from '../domain/job-ref.ts'
import { writeIntent } from '../vault/intents.ts'
import { readRecoveryPoint } from '../vault/recovery-points.ts'
import { isCurrent } from './claim.ts'
import { restorePlanName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { createOrRead } from './json-object.ts'
import { type RestorePlan, readRestorePlan } from './restore-plan.ts'
import { tellingDamage } from './telling-damage.ts'

/** Says which disks are restored, and keeps what they need from being collected meanwhile. Key: the job. */
export const planVmRestore = async (
  deps: Pick<JobDeps, 'clock' | 'control' | 'vault'>,
  { job, token }: { readonly job: RestoreJob; readonly token: string },
): Promise<{ readonly kind: 'planned'; readonly disks: readonly string[] } | Failed> => {
  if (!(await isCurrent(deps.control, refOf({ job, token })))) return superseded
  if ((await readRestorePlan(deps.control, job.jobId)) !== null) return plannedOf(job)
  const { vmKey, recoveryPointId, jobId } = job
  await writeIntent(deps.control, { kind: 'restore', id: jobId, vmKey, dependsOn: [recoveryPointId] })
  const found = await tellingDamage(deps, vmKey, () => readRecoveryPoint(deps.vault, { vmKey, recoveryPointId }))
  const missing = job.disks.filter(({ disk }) => !found?.recoveryPoint.disks.some((other) => other.disk === disk))
  if (missing.length > 0) return notInVault(missing.map(({ disk }) => disk))
  const revision = found?.recoveryPoint.revision ?? 1
  await createOrRead<RestorePlan>(deps.control, restorePlanName(jobId), { job, revision })
  return plannedOf(job)
}

const plannedOf = (job: RestoreJob) => ({ kind: 'planned' as const, disks: job.disks.map(({ disk }) => disk) })

const notInVault = (disks: readonly string[]): Failed =>
  failed(
    'recovery-point-missing',
    `The recovery point is not in the vault, or lacks these disks: ${disks.join(', ')}.`,
    'List the recovery points of the VM and choose one of them.',
  )
