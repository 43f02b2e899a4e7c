import type { Claim, Job, JobOutcome, JobRecord } from '../domain/job.ts'
import type { BlobReader, ControlStore } from '../ports/blob-store.ts'
import { listClaims, readClaim } from './claim.ts'
import {
  endedJobName,
  endedJobPrefix,
  isRestoreJobId,
  jobIdOfEnded,
  olderJobName,
  vmKeyOfBackup,
} from './control-names.ts'
import { encodeJson, readJson } from './json-object.ts'

/** What is told of a job, whether it runs or has ended. Null where no such job was ever started. */
export const readJobRecord = async (control: BlobReader, jobId: string): Promise<JobRecord | null> => {
  const ended = await readEnding(control, jobId)
  if (ended !== null) return ended
  const claim = await claimOfJob(control, jobId)
  if (claim?.startedAt !== undefined) return runningRecord(claim)
  // A job without a claim may have ended since the first look: its record comes before its claim goes.
  const since = claim === null ? await readEnding(control, jobId) : null
  return since ?? (await readOlder(control, jobId)) ?? (claim === null ? null : runningRecord(claim))
}

/** The record of a job that has ended, or goes on after it had. Null for one that runs for the first time, and where there is none. */
export const readEnding = async (control: BlobReader, jobId: string): Promise<JobRecord | null> =>
  (await readJson<JobRecord>(control, endedJobName(jobId)))?.value ?? null

/** The record that version 0.1 wrote; null for a job that it did not start. */
export const readOlder = async (control: BlobReader, jobId: string): Promise<JobRecord | null> =>
  (await readJson<JobRecord>(control, olderJobName(jobId)))?.value ?? null

const claimOfJob = async (control: BlobReader, jobId: string): Promise<Claim | null> => {
  const vmKey = isRestoreJobId(jobId) ? '' : vmKeyOfBackup(jobId)
  const held = vmKey === null ? null : await readClaim(control, { jobId, vmKey })
  return held?.claim.job.jobId === jobId ? held.claim : null
}

const runningRecord = ({ job, attempt, takenAt, startedAt }: Claim): JobRecord => ({
  job,
  startedAt: startedAt ?? takenAt,
  attempts: attempt,
  endedAt: null,
  outcome: null,
})

/** Tries when a record comes and goes between create and read. */
const tries = 5

/** Records what the job ended with. The first outcome stays; a later one is dropped. Key: the job id.
 * @param ending `startedAt`: absent where it is not known */
export const recordOutcome = async (
  control: ControlStore,
  ending: {
    readonly job: Job
    readonly startedAt?: string
    readonly attempts: number
    readonly outcome: JobOutcome
    readonly now: Date
  },
): Promise<{ readonly record: JobRecord; readonly isNew: boolean }> => {
  const { job, attempts, outcome, now } = ending
  const name = endedJobName(job.jobId)
  const endedAt = now.toISOString()
  const first: JobRecord = { job, startedAt: ending.startedAt ?? endedAt, attempts, endedAt, outcome }
  for (let left = tries; left > 0; left -= 1) {
    if ((await control.create(name, [encodeJson(first)])) === 'created') return { record: first, isNew: true }
    const object = await readJson<JobRecord>(control, name)
    if (object === null) continue
    if (object.value.outcome !== null) return { record: object.value, isNew: false }
    const ended: JobRecord = { ...object.value, attempts, endedAt, outcome }
    if ((await control.replace(name, encodeJson(ended), object.etag)).kind === 'replaced')
      return { record: ended, isNew: true }
  }
  throw new Error(`The record of ${job.jobId} changed ${tries} times while it was being written. The step is repeated.`)
}

/** The newest jobs by the time they were asked for, newest first: those that run, and the last ones that ended. */
export const recentJobs = async (control: BlobReader, jobsMax: number): Promise<readonly JobRecord[]> => {
  const records = new Map<string, JobRecord>()
  for await (const { claim } of listClaims(control)) records.set(claim.job.jobId, runningRecord(claim))
  const jobIds: string[] = []
  for await (const { name } of control.list(endedJobPrefix)) {
    jobIds.push(jobIdOfEnded(name))
    if (jobIds.length >= jobsMax) break
  }
  const ended = await Promise.all(jobIds.map((jobId) => readEnding(control, jobId)))
  for (const record of ended) if (record !== null) records.set(record.job.jobId, record)
  return [...records.values()]
    .sort((one, other) => Date.parse(other.job.requestedAt) - Date.parse(one.job.requestedAt))
    .slice(0, jobsMax)
}
