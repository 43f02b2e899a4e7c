import type { Claim, StopReason } from '../domain/job.ts'
import type { BlobReader, ControlStore } from '../ports/blob-store.ts'
import { type ClaimRef, changeClaim, readClaim } from './claim.ts'

type StoppedRef = Pick<ClaimRef, 'jobId' | 'vmKey'>

/** Asks all steps of the job to stop, whichever attempt they belong to: the claim says so, and they look at it between frames, so it takes
 * seconds. Key: the job; the first reason stays. Does nothing where the job holds no claim, as it is over. */
export const requestStop = async (control: ControlStore, ref: StoppedRef, reason: StopReason): Promise<void> => {
  await changeClaim(control, ref, ({ claim }) => {
    if (claim.job.jobId !== ref.jobId || claim.stopping !== undefined) return null
    return { ...claim, stopping: reason } satisfies Claim
  })
}

/** Why the job was asked to stop; null while it was not. */
export const stopReasonOf = async (control: BlobReader, ref: StoppedRef): Promise<StopReason | null> => {
  const held = await readClaim(control, ref)
  return held?.claim.job.jobId === ref.jobId ? (held.claim.stopping ?? null) : null
}
