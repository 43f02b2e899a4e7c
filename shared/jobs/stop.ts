import type { StopReason } from '../domain/job.ts'
import type { BlobCreator, BlobReader } from '../ports/blob-store.ts'
import { stopName } from './control-names.ts'
import { createOrRead, readJson } from './json-object.ts'

interface StopRequest {
  readonly reason: StopReason
  readonly askedAt: string
}

/** Asks all steps of the job to stop. They read it between frames, so it takes seconds. Key: the job; the first reason stays. */
export const requestStop = async (
  control: BlobCreator,
  jobId: string,
  reason: StopReason,
  now: Date,
): Promise<StopReason> =>
  (await createOrRead<StopRequest>(control, stopName(jobId), { reason, askedAt: now.toISOString() })).reason

/** Why the job was asked to stop; null while it was not. */
export const stopReasonOf = async (control: BlobReader, jobId: string): Promise<StopReason | null> =>
  (await readJson<StopRequest>(control, stopName(jobId)))?.value.reason ?? null
