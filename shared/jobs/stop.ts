import type { StopReason } from '../domain/job.ts'
import type { BlobCreator, BlobReader, ControlStore } from '../ports/blob-store.ts'
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
  (await readStop(control, jobId))?.value.reason ?? null

/** The stop request with its ETag; null where there is none. */
export const readStop = (
  control: BlobReader,
  jobId: string,
): Promise<{ readonly value: StopRequest; readonly etag: string } | null> => readJson(control, stopName(jobId))

/** Takes back a stop request of an ended job, unless it was asked for anew since. Repeatable. */
export const removeStop = async (control: ControlStore, jobId: string, etag: string): Promise<void> => {
  await control.remove(stopName(jobId), etag)
}
