import { instanceIdOf } from '../domain/ids.ts'
import type { BackupJob, Claim, Job, JobRecord } from '../domain/job.ts'
import { readBackupPlan, readSources } from './backup-plan.ts'
import { readClaim, releaseClaim, takeClaim } from './claim.ts'
import type { JobDeps } from './job-deps.ts'
import type { JobInstances } from './job-instances.ts'
import { readJobRecord } from './job-records.ts'
import { reopenJob } from './reopen-job.ts'
import { giveUnfinishedUp, readUnfinished } from './unfinished.ts'

/** `running`: it has not ended, so nothing was done. `busy`: another job holds the VM. `impossible`: it has nothing to go on with. */
export type ResumeOutcome =
  | {
      readonly kind: 'resumed'
      readonly jobId: string
      readonly vmKey: string
      readonly attempt: number
      readonly instanceId: string
      readonly endedAs: string
    }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'running' }
  | { readonly kind: 'busy'; readonly running: Claim }
  | { readonly kind: 'impossible'; readonly why: string; readonly jobKind: Job['kind'] }

/** Everything that resuming asks and changes. */
export type ResumeDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'newToken' | 'vault'> & {
  readonly instances: JobInstances
}

/** Lets a backup go on that ended without a commit: its next attempt, with the same recovery point, plan, copies and slices, in a new
 * window of the same length. Claim, record, instance, in this order, as for a start: the supervisor goes on from the claim. Key: the
 * attempts that the job had; of two at once one resumes.
 * @param slotJobId the slot's job that waits for this one; null where somebody asked */
export const resumeJob = async (
  deps: ResumeDeps,
  jobId: string,
  slotJobId: string | null = null,
): Promise<ResumeOutcome> => {
  const record = await readJobRecord(deps.control, jobId)
  if (record === null) return { kind: 'unknown' }
  if (record.outcome === null) return { kind: 'running' }
  const job = await resumable(deps, record)
  if ('why' in job) return { kind: 'impossible', why: job.why, jobKind: record.job.kind }
  const resumed = { attempt: record.attempts + 1, slotJobId }
  const taken = await takeClaim(deps.control, job, deps.newToken(), deps.clock.now(), resumed)
  if (taken.kind === 'busy')
    return taken.claim.job.jobId === jobId ? { kind: 'running' } : { kind: 'busy', running: taken.claim }
  const held = await readClaim(deps.control, job)
  if (held?.claim.token !== taken.claim.token) return { kind: 'running' }
  if ((await reopenJob(deps.control, held)) === 'ended') {
    await releaseClaim(deps.control, held)
    return { kind: 'impossible', why: replaced, jobKind: job.kind }
  }
  await deps.instances.start(held.claim)
  const { attempt } = held.claim
  const instanceId = instanceIdOf(jobId, attempt)
  return { kind: 'resumed', jobId, vmKey: job.vmKey, attempt, instanceId, endedAs: record.outcome.kind }
}

/** Resumes the VM's last backup where it failed or missed its window, at most once for each slot: one that ends in the same way again
 * leaves the VM to the slot's own job. Null where there is none to resume. */
export const resumeForSlot = async (
  deps: ResumeDeps,
  vmKey: string,
  slotJobId: string,
): Promise<(ResumeOutcome & { readonly kind: 'resumed' }) | null> => {
  const unfinished = await readUnfinished(deps.control, vmKey)
  const record = unfinished === null ? null : await readJobRecord(deps.control, unfinished.jobId)
  if (record === null || record.outcome === null || record.outcome.kind === 'cancelled') return null
  if (record.resumedFor?.includes(slotJobId)) return null
  const resumed = await resumeJob(deps, record.job.jobId, slotJobId)
  return resumed.kind === 'resumed' ? resumed : null
}

const replaced = 'A later backup of this VM has taken its place.'

/** The job with its new window, or why it cannot go on. */
const resumable = async (
  deps: ResumeDeps,
  { job, outcome }: JobRecord,
): Promise<BackupJob | { readonly why: string }> => {
  if (job.kind !== 'backup') return { why: 'Only backups can go on after they have ended.' }
  if (outcome?.kind === 'completed') return { why: 'The job is complete.' }
  const plan = await readBackupPlan(deps.control, job.recoveryPointId)
  const sources = await readSources(deps.control, job.recoveryPointId)
  if (plan === null || sources === null) return { why: 'The job ended before it had the copies of the disks.' }
  if ((await readUnfinished(deps.control, job.vmKey))?.jobId !== job.jobId) return { why: replaced }
  const exist = await Promise.all(sources.disks.map(({ source }) => deps.access.exists(source.resourceId)))
  if (exist.includes(false)) {
    await giveUnfinishedUp(deps, job)
    return { why: 'The platform does not have the copies of the disks any more.' }
  }
  const windowMs = Date.parse(plan.job.deadline) - Date.parse(plan.job.requestedAt)
  return { ...job, deadline: new Date(deps.clock.now().getTime() + windowMs).toISOString() }
}
