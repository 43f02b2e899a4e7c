import { instanceIdOf } from '../domain/ids.ts'
import type { JobOutcome } from '../domain/job.ts'
import { readClaim } from './claim.ts'
import type { JobDeps } from './job-deps.ts'
import type { JobInstances } from './job-instances.ts'
import { readJobRecord } from './job-records.ts'
import { requestStop } from './stop.ts'

/** `asked`: the job's steps will stop within seconds, and the job then ends as cancelled; or, if all was done before they saw it, as
 * completed. */
export type CancelOutcome =
  | { readonly kind: 'asked' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ended'; readonly outcome: JobOutcome }

/** Asks a job to stop: by the claim that its steps read, and by the event that its story waits for. Repeatable. */
export const cancelJob = async (
  deps: Pick<JobDeps, 'control'> & { readonly instances: JobInstances },
  jobId: string,
): Promise<CancelOutcome> => {
  const record = await readJobRecord(deps.control, jobId)
  if (record === null) return { kind: 'unknown' }
  if (record.outcome !== null) return { kind: 'ended', outcome: record.outcome }
  await requestStop(deps.control, record.job, 'cancelled')
  const held = await readClaim(deps.control, record.job)
  if (held?.claim.job.jobId === jobId) await deps.instances.cancel(instanceIdOf(jobId, held.claim.attempt))
  return { kind: 'asked' }
}
