import type { Claim, JobOutcome, JobRecord } from '../domain/job.ts'
import { type JobRef, jobEnded } from '../domain/job-ref.ts'
import type { ControlStore } from '../ports/blob-store.ts'
import { dropIntent } from '../vault/intents.ts'
import { type HeldClaim, readClaim, releaseClaim } from './claim.ts'
import type { JobDeps } from './job-deps.ts'
import { recordOutcome } from './job-records.ts'
import { noteEnding } from './unfinished.ts'

/** Records the job's outcome, then gives its claim back. Key: the job; the first outcome stays. An attempt that is not the claim's
 * changes nothing, and one that found the job ended before its claim gives that back alone. */
export const finishJob = async (
  deps: Pick<JobDeps, 'clock' | 'control' | 'vault'>,
  { outcome, ...ref }: JobRef & { readonly outcome: JobOutcome },
): Promise<{ readonly kind: 'finished'; readonly milliseconds: number } | { readonly kind: 'superseded' }> => {
  const held = await readClaim(deps.control, ref)
  if (held === null || held.claim.token !== ref.token) return { kind: 'superseded' }
  if (outcome.kind === 'failed' && outcome.reason === jobEnded.reason) {
    await giveBack(deps.control, held)
    return { kind: 'superseded' }
  }
  const { startedAt, endedAt } = await endJob(deps, held, outcome)
  return { kind: 'finished', milliseconds: Date.parse(endedAt ?? startedAt) - Date.parse(startedAt) }
}

/** The ending of a job whose claim is at hand: outcome, intent, claim. A backup without a commit keeps its intent while it can go on with its slices; else it is fenced off. */
export const endJob = async (
  deps: Pick<JobDeps, 'clock' | 'control' | 'vault'>,
  held: HeldClaim,
  outcome: JobOutcome,
): Promise<JobRecord> => {
  const { job, attempt } = held.claim
  const startedAt = held.claim.startedAt ?? held.claim.takenAt
  const ending = { job, startedAt, attempts: attempt, outcome, now: deps.clock.now() }
  const { record, isNew } = await recordOutcome(deps.control, ending)
  // Who recorded it before may be past all that follows, and the VM another job's.
  if (!isNew && (await readClaim(deps.control, job))?.claim.token !== held.claim.token) return record
  if (job.kind !== 'backup') await dropIntent(deps.control, job.jobId)
  else if (!isOfAnotherStart(held.claim, record)) {
    const isCommitted = record.outcome?.kind === 'completed'
    await noteEnding(deps, job, { isCommitted, ...held.claim })
  }
  await giveBack(deps.control, held)
  return record
}

/** True where the slot was done before this claim was taken, by a start that won the claim earlier: nothing was made for this one, and the VM's unfinished
 * backup may be a later job. */
const isOfAnotherStart = ({ job }: Claim, record: JobRecord): boolean =>
  record.job.recoveryPointId !== job.recoveryPointId

/** A stop that is asked for meanwhile changes the claim, not whose it is. */
const giveBack = async (control: ControlStore, held: HeldClaim): Promise<void> => {
  if ((await releaseClaim(control, held)) !== 'changed') return
  const changed = await readClaim(control, held.claim.job)
  if (changed?.claim.token === held.claim.token) await giveBack(control, changed)
}
