import type { Job, JobOutcome, JobRecord } from '../domain/job.ts'
import type { BlobReader, ControlStore } from '../ports/blob-store.ts'
import { jobName, recentJobName, recentJobPrefix } from './control-names.ts'
import { encodeJson, readJson } from './json-object.ts'

/** Records that the job has begun, for `GET job` and for the list of recent jobs. Key: the job id; repeatable. */
export const recordStart = async (control: ControlStore, job: Job, now: Date): Promise<JobRecord> => {
  const record: JobRecord = { job, startedAt: now.toISOString(), attempts: 1, endedAt: null, outcome: null }
  const created = await control.create(jobName(job.jobId), [encodeJson(record)])
  await control.create(recentJobName(new Date(job.requestedAt), job.jobId), [encodeJson({ jobId: job.jobId })])
  return created === 'created' ? record : ((await readJobRecord(control, job.jobId)) ?? record)
}

/** Null where no such job was ever started. */
export const readJobRecord = async (control: BlobReader, jobId: string): Promise<JobRecord | null> =>
  (await readJson<JobRecord>(control, jobName(jobId)))?.value ?? null

/** Records what the job ended with. The first outcome stays; a later one is dropped. Key: the job id. */
export const recordOutcome = async (
  control: ControlStore,
  ending: { readonly job: Job; readonly attempts: number; readonly outcome: JobOutcome; readonly now: Date },
): Promise<JobRecord> => {
  const { job, attempts, outcome, now } = ending
  for (let isNew = false; ; ) {
    const object = await readJson<JobRecord>(control, jobName(job.jobId))
    if (object === null && !isNew) {
      await recordStart(control, job, now)
      isNew = true
      continue
    }
    if (object === null)
      throw new Error(`The record of ${job.jobId} disappeared. Look for a lifecycle rule on the control container.`)
    if (object.value.outcome !== null) return object.value
    const ended: JobRecord = { ...object.value, attempts, endedAt: now.toISOString(), outcome }
    const replaced = await control.replace(jobName(job.jobId), encodeJson(ended), object.etag)
    if (replaced.kind === 'replaced') return ended
  }
}

/** The newest jobs by the time they were asked for, newest first. */
export const recentJobs = async (control: BlobReader, jobsMax: number): Promise<readonly JobRecord[]> => {
  const jobIds: string[] = []
  for await (const entry of control.list(recentJobPrefix)) {
    jobIds.push(entry.name.slice(recentJobPrefix.length + 17))
    if (jobIds.length >= jobsMax) break
  }
  const records = await Promise.all(jobIds.map((jobId) => readJobRecord(control, jobId)))
  return records.filter((record) => record !== null)
}
