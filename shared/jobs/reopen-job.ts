import type { Claim, JobRecord } from '../domain/job.ts'
import type { ControlStore } from '../ports/blob-store.ts'
import type { HeldClaim } from './claim.ts'
import { endedJobName } from './control-names.ts'
import { readOlder } from './job-records.ts'
import { encodeJson, readJson } from './json-object.ts'
import { readUnfinished } from './unfinished.ts'

/** True while the record's outcome is older than the claim: the claim resumes the job, and the record does not say so yet. */
export const awaitsReopening = ({ resumed }: Claim, { attempts, outcome }: JobRecord): boolean =>
  outcome !== null && attempts < (resumed?.attempt ?? 0)

/** Takes the outcome of an ended job back under the claim that resumes it: the outcome goes, the new window comes. `ended`:
 * the job cannot go on any more, and the claim is for nothing. Repeatable: whoever resumes and the supervisor may both do it. */
export const reopenJob = async (control: ControlStore, { claim }: HeldClaim): Promise<'open' | 'ended'> => {
  const { job, resumed } = claim
  if (resumed === undefined) return 'ended'
  for (;;) {
    const object = await recordOf(control, job.jobId)
    if (object === null) return 'ended'
    const record = object.value
    if (record.outcome === null) return 'open'
    if (!awaitsReopening(claim, record)) return 'ended'
    if ((await readUnfinished(control, job.vmKey))?.jobId !== job.jobId) return 'ended'
    const resumedFor = [...(record.resumedFor ?? []), ...(resumed.slotJobId === null ? [] : [resumed.slotJobId])]
    const opened: JobRecord = { ...record, job, attempts: resumed.attempt, endedAt: null, outcome: null, resumedFor }
    const replaced = await control.replace(endedJobName(job.jobId), encodeJson(opened), object.etag)
    if (replaced.kind === 'replaced') return 'open'
  }
}

/** One of a job that version 0.1 ended is brought under its present name first. */
const recordOf = async (control: ControlStore, jobId: string) => {
  const name = endedJobName(jobId)
  const object = await readJson<JobRecord>(control, name)
  if (object !== null) return object
  const older = await readOlder(control, jobId)
  if (older === null) return null
  await control.create(name, [encodeJson(older)])
  return readJson<JobRecord>(control, name)
}
