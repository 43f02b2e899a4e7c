import type { RestoreJob } from '../domain/job.ts'
import type { Failed, JobRef, Pending } from '../domain/job-ref.ts'
import { readBackupPlan, readSources } from './backup-plan.ts'
import { markClosing } from './claim.ts'
import { isCompareJobId, isRestoreJobId } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { readComparisonPlan } from './plan-comparison.ts'
import { readRestorePlan } from './restore-plan.ts'

/** `removed` counts copies of the platform; closing removes none. */
export type Closed =
  | { readonly kind: 'released'; readonly removed: number }
  | { readonly kind: 'superseded' }
  | Pending
  | Failed

type CloseDeps = Pick<JobDeps, 'access' | 'control' | 'restoreDisks'>

/** Ends every access to disks that the job was granted. Key: the job; repeatable, and harmless where there is none. */
export const closeJob = async (deps: CloseDeps, ref: JobRef): Promise<Closed> => {
  if ((await markClosing(deps.control, ref)) === null) return { kind: 'superseded' }
  if (isCompareJobId(ref.jobId))
    return endAccesses(deps, (await readComparisonPlan(deps.control, ref.jobId))?.sources ?? [])
  const restore = isRestoreJobId(ref.jobId) ? await readRestorePlan(deps.control, ref.jobId) : null
  return restore === null ? closeSources(deps, ref) : together(await closeTargets(deps, restore.job))
}

type Answer = { readonly kind: 'released'; readonly removed: number } | Pending | Failed

const together = (answers: readonly Answer[]): Answer =>
  answers.find(({ kind }) => kind === 'failed') ??
  answers.find(({ kind }) => kind === 'pending') ?? { kind: 'released', removed: 0 }

/** Ends the access to the sources of this recovery point and of the bases that it was compared with. Comes after the mark in the claim. */
export const closeSources = async (
  deps: Pick<JobDeps, 'access' | 'control'>,
  ref: Pick<JobRef, 'recoveryPointId'>,
): Promise<Answer> => {
  const plan = await readBackupPlan(deps.control, ref.recoveryPointId)
  const sources = await readSources(deps.control, ref.recoveryPointId)
  const bases = plan?.disks.flatMap(({ base }) => (base === null ? [] : [base.source.resourceId])) ?? []
  const ids = new Set([...(sources?.disks.map(({ source }) => source.resourceId) ?? []), ...bases])
  return endAccesses(deps, [...ids])
}

/** To the platform's copies of these ids. */
const endAccesses = async ({ access }: Pick<JobDeps, 'access'>, ids: readonly string[]): Promise<Answer> =>
  together(await Promise.all(ids.map((id) => access.revoke(id).then(answerOf))))

const restoreCloseWaitMs = 5_000

const closeTargets = (deps: CloseDeps, job: RestoreJob): Promise<readonly Answer[]> =>
  Promise.all(
    job.disks.map(({ targetDiskId }) =>
      deps.restoreDisks.finish(targetDiskId, job.jobId, restoreCloseWaitMs).then(answerOf),
    ),
  )

const answerOf = (answer: { readonly kind: 'revoked' } | { readonly kind: 'finished' } | Pending | Failed): Answer =>
  answer.kind === 'pending' || answer.kind === 'failed' ? answer : { kind: 'released', removed: 0 }
