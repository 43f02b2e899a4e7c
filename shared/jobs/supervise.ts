import { instanceIdOf } from '../domain/ids.ts'
import type { Claim, JobOutcome, JobRecord } from '../domain/job.ts'
import { refOf } from '../domain/job-ref.ts'
import { type HeldClaim, listClaims, readClaim, releaseClaim, renewClaim } from './claim.ts'
import { closeJob } from './close-job.ts'
import { committedOutcome } from './committed-outcome.ts'
import { endJob } from './finish-job.ts'
import { forEachBounded } from './for-each-bounded.ts'
import type { JobDeps } from './job-deps.ts'
import type { JobInstances } from './job-instances.ts'
import { readEnding, readOlder } from './job-records.ts'
import { awaitsReopening, reopenJob } from './reopen-job.ts'
import { safeMessage } from './step-failure.ts'

/** What the supervisor did about one claim. */
export type Supervised =
  | { readonly kind: 'left'; readonly jobId: string }
  | { readonly kind: 'started' | 'released' | 'waits'; readonly jobId: string; readonly attempt: number }
  | {
      readonly kind: 'retried' | 'gaveUp'
      readonly jobId: string
      readonly vmKey: string
      readonly attempt: number
      /** The engine's word for how the last instance ended. */
      readonly endedAs: string
    }
  | {
      /** It had its commit record, and wanted only the ending. */
      readonly kind: 'finished'
      readonly jobId: string
      readonly vmKey: string
      readonly attempt: number
      readonly milliseconds: number
    }
  | { readonly kind: 'fault'; readonly jobId: string; readonly message: string }

/** Everything that supervision asks and changes. */
export type SuperviseDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'newToken' | 'restoreDisks' | 'vault'> & {
  readonly instances: JobInstances
  /** How many instances one job may use up from its start, or from its resumption; then it has failed. */
  readonly attemptsMax: number
}

/** Claims looked after at the same time. */
const claimsAtOnce = 8

/** Looks at every claim once. An instance that the platform ended without an outcome is followed by the next attempt, which goes on
 * where it stopped; what is left of the ending of a job that has its outcome (intent, claim) is done. A fault of one claim does not stop the others. Repeatable. */
export const supervise = async (deps: SuperviseDeps): Promise<readonly Supervised[]> => {
  const done: Supervised[] = []
  await forEachBounded(listClaims(deps.control), claimsAtOnce, async (held) => {
    done.push(await lookAfter(deps, held).catch((error) => fault(held, error)))
  })
  return done
}

const fault = (held: HeldClaim, error: unknown): Supervised => ({
  kind: 'fault',
  jobId: held.claim.job.jobId,
  message: safeMessage(error),
})

const lookAfter = async (deps: SuperviseDeps, held: HeldClaim): Promise<Supervised> => {
  const { job, attempt } = held.claim
  const { jobId } = job
  const record = await endingOf(deps, held)
  if (record?.outcome != null && awaitsReopening(held.claim, record)) return resume(deps, held)
  if (record?.outcome != null) {
    await endJob(deps, held, record.outcome)
    return { kind: 'released', jobId, attempt }
  }
  const instance = await deps.instances.status(instanceIdOf(jobId, attempt))
  if (instance?.state === 'running') return { kind: 'left', jobId }
  // An attempt that was closing has run: the engine has lost it, and nothing is opened under its mark any more.
  if (instance !== null || held.claim.isClosing) return nextAttempt(deps, held, instance?.runtimeStatus ?? 'lost')
  await deps.instances.start(held.claim)
  return { kind: 'started', jobId, attempt }
}

/** What is recorded of an ended job; a claim that does not say when its job started is of a version that recorded it elsewhere. */
const endingOf = async ({ control }: SuperviseDeps, { claim }: HeldClaim): Promise<JobRecord | null> => {
  const { jobId } = claim.job
  return (await readEnding(control, jobId)) ?? (claim.startedAt === undefined ? readOlder(control, jobId) : null)
}

/** Whoever resumed the job died after the claim. */
const resume = async (deps: SuperviseDeps, held: HeldClaim): Promise<Supervised> => {
  const { job, attempt } = held.claim
  if ((await reopenJob(deps.control, held)) === 'ended') {
    await releaseClaim(deps.control, held)
    return { kind: 'released', jobId: job.jobId, attempt }
  }
  await deps.instances.start(held.claim)
  return { kind: 'started', jobId: job.jobId, attempt }
}

/** Attempts since the job was started, or resumed. */
const attemptsUsed = ({ attempt, resumed }: Claim): number => attempt - (resumed?.attempt ?? 1) + 1

/** The platform never terminates an instance by itself: somebody did. The next attempt only tidies up and ends as cancelled; without the
 * stop request the job would be back with every sweep. */
const terminated = 'Terminated'

const nextAttempt = async (deps: SuperviseDeps, held: HeldClaim, runtimeStatus: string): Promise<Supervised> => {
  const { job } = held.claim
  if (attemptsUsed(held.claim) >= deps.attemptsMax) return giveUp(deps, held, runtimeStatus)
  const stopping = runtimeStatus === terminated ? 'cancelled' : undefined
  const renewed = await renewClaim(deps.control, held, deps.newToken(), deps.clock.now(), stopping)
  if (renewed.kind === 'changed') return { kind: 'left', jobId: job.jobId }
  await deps.instances.start(renewed.claim)
  return { kind: 'retried', jobId: job.jobId, vmKey: job.vmKey, attempt: renewed.claim.attempt, endedAs: runtimeStatus }
}

/** The last attempt has ended. Where it died between commit and ending, the job is complete all the same. */
const giveUp = async (deps: SuperviseDeps, held: HeldClaim, runtimeStatus: string): Promise<Supervised> => {
  const { job, attempt, token } = held.claim
  const closed = await closeJob(deps, refOf(held.claim))
  if (closed.kind === 'pending') return { kind: 'waits', jobId: job.jobId, attempt }
  const closing = await readClaim(deps.control, job)
  if (closing?.claim.token !== token) return { kind: 'left', jobId: job.jobId }
  const committed = job.kind === 'backup' ? await committedOutcome(deps, job) : null
  if (committed !== null) {
    const { startedAt, endedAt } = await endJob(deps, closing, committed)
    const milliseconds = Date.parse(endedAt ?? startedAt) - Date.parse(startedAt)
    return { kind: 'finished', jobId: job.jobId, vmKey: job.vmKey, attempt, milliseconds }
  }
  await endJob(deps, closing, attemptsExhausted(attempt, runtimeStatus))
  return { kind: 'gaveUp', jobId: job.jobId, vmKey: job.vmKey, attempt, endedAs: runtimeStatus }
}

const attemptsExhausted = (attempts: number, runtimeStatus: string): JobOutcome => ({
  kind: 'failed',
  reason: 'attempts-exhausted',
  message: `The platform ended ${attempts} attempts of this job without an outcome; the last one is ${runtimeStatus}.`,
  hint: 'Look at the instances of this job in the Durable Functions views and at the log of the function app, then start it again.',
  disks: [],
})
