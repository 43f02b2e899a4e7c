import type { Claim, StopReason } from './job.ts'

/** What every step of a job gets: where the job's objects are, and the token that proves that its attempt is the current one. */
export interface JobRef {
  readonly jobId: string
  readonly vmKey: string
  readonly recoveryPointId: string
  readonly token: string
}

/** The same for one disk of the job, by its label. */
export interface DiskRef extends JobRef {
  readonly disk: string
  /** Of a backup: which attempt of the job it is, from 1. Where it is named, a disk without a change needs no stored plan: its report goes with the job. */
  readonly attempt?: number
}

/** Ask again after that many seconds. */
export type Pending = { readonly kind: 'pending'; readonly retryAfterSeconds: number }
/** A failure that another try cannot cure: a stable code, what happened, what the operator can do. */
export type Failed = {
  readonly kind: 'failed'
  readonly reason: string
  readonly message: string
  readonly hint: string
}
/** The job was asked to stop, and the step obeyed. */
export type Stopped = { readonly kind: 'stopped'; readonly reason: StopReason }

/** What the steps of a claimed job are told of it. */
export const refOf = ({ job, token }: Pick<Claim, 'job' | 'token'>): JobRef => ({
  jobId: job.jobId,
  vmKey: job.vmKey,
  recoveryPointId: job.recoveryPointId,
  token,
})

/** @param reason a stable code, for programs
 * @param message what happened, in sentences
 * @param hint what the operator can do */
export const failed = (reason: string, message: string, hint: string): Failed => ({
  kind: 'failed',
  reason,
  message,
  hint,
})

/** The answer of a step whose attempt is not the current one any more. It changed nothing. */
export const superseded: Failed = failed(
  'superseded',
  'A later attempt of this job has taken over.',
  'Nothing is to be done: follow the job by its id.',
)

/** The answer of a backup's first step where the job had ended before this claim of it was taken. It changed nothing. */
export const jobEnded: Failed = failed(
  'job-ended',
  'The backup of this slot was carried out before. Its record tells how it ended; this start changed nothing.',
  'Nothing is to be done.',
)
