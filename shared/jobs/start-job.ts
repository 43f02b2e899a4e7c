import { instanceIdOf } from '../domain/ids.ts'
import type { Claim, Job } from '../domain/job.ts'
import { readClaim, releaseClaim, takeClaim } from './claim.ts'
import type { JobDeps } from './job-deps.ts'
import type { JobInstances } from './job-instances.ts'
import { readEnding } from './job-records.ts'

/** `already`: this very job was started before; nothing was done. `busy`: another job holds the item. */
export type StartOutcome =
  | { readonly kind: 'started'; readonly jobId: string; readonly instanceId: string }
  | { readonly kind: 'already'; readonly jobId: string }
  | { readonly kind: 'busy'; readonly running: Claim }

/** Starts a job: claim, then instance. The claim holds the job, so a crash between the two loses nothing: the supervisor goes on from the claim. Key:
 * the job id; while a job runs it has a claim, and it is recorded before that goes. Who asks late for one that has ended finds the record; the start of a
 * backup does not look: its plan finds under the claim that the slot is done, by what it reads anyway, and changes nothing (plan-vm-backup.ts). */
export const startJob = async (
  deps: Pick<JobDeps, 'clock' | 'control' | 'newToken'> & { readonly instances: JobInstances },
  job: Job,
): Promise<StartOutcome> => {
  const taken = await takeClaim(deps.control, job, deps.newToken(), deps.clock.now())
  if (taken.kind === 'busy') {
    if (taken.claim.job.jobId === job.jobId) return { kind: 'already', jobId: job.jobId }
    return { kind: 'busy', running: taken.claim }
  }
  if (job.kind !== 'backup' && (await readEnding(deps.control, job.jobId)) !== null) {
    await giveBack(deps, taken.claim)
    return { kind: 'already', jobId: job.jobId }
  }
  await deps.instances.start(taken.claim)
  return { kind: 'started', jobId: job.jobId, instanceId: instanceIdOf(job.jobId, taken.claim.attempt) }
}

/** The job was started before, and has ended: this claim is for nothing. */
const giveBack = async (deps: Pick<JobDeps, 'control'>, claim: Claim): Promise<void> => {
  const held = await readClaim(deps.control, claim.job)
  if (held !== null && held.claim.token === claim.token) await releaseClaim(deps.control, held)
}
