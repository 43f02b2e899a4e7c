import type { BackupJob, JobRecord } from '../../domain/job.ts'
import { VaultError } from '../../format/vault-error.ts'
import type { BlobReader } from '../../ports/blob-store.ts'
import { inBatches } from '../../vault/in-batches.ts'
import { readRecoveryPoint } from '../../vault/recovery-points.ts'
import { readClaim } from '../claim.ts'
import { endedJobPrefix, olderJobPrefix, olderRecentJobPrefix } from '../control-names.ts'
import type { JobDeps } from '../job-deps.ts'
import { ControlObjectError, readJson } from '../json-object.ts'
import { readUnfinished } from '../unfinished.ts'

/** What one call may remove of the records of jobs. */
export interface CollectJobsRequest {
  /** A job that ended that many days ago, or later, is kept. */
  readonly jobDays: number
  /** Records that one call looks at, at most; what is left waits for the next one. */
  readonly recordsMax: number
}

/** What one call came to; what it left waits for the next pass. */
export interface CollectedJobs {
  readonly removed: number
  /** Records that are no JSON: they stay. */
  readonly unreadable: readonly ControlObjectError[]
}

type CollectDeps = Pick<JobDeps, 'clock' | 'control' | 'vault'>

const recordsAtOnce = 16
const dayMs = 24 * 3_600_000

/** Removes the records of jobs that ended long ago and that nothing names any more: neither a recovery point, whose retention goes by its job's
 * policy, nor a backup that can go on, nor a claim. Age is by the clock, as it is of records that people read and of no data. Repeatable. */
export const collectJobs = async (
  deps: CollectDeps,
  { jobDays, recordsMax }: CollectJobsRequest,
): Promise<CollectedJobs> => {
  const endedBefore = deps.clock.now().getTime() - jobDays * dayMs
  const unreadable: ControlObjectError[] = []
  let removed = 0
  await inBatches(oldRecords(deps.control, endedBefore, recordsMax), recordsAtOnce, async (name) => {
    try {
      if (await removeRecord(deps, name, endedBefore)) removed += 1
    } catch (error) {
      if (!(error instanceof ControlObjectError)) throw error
      unreadable.push(error)
    }
  })
  return { removed, unreadable }
}

/** Names of records whose jobs began before that, and the lists of version 0.1, which nobody reads. */
async function* oldRecords(control: BlobReader, before: number, recordsMax: number): AsyncGenerator<string> {
  let records = 0
  for (const prefix of [olderRecentJobPrefix, olderJobPrefix, endedJobPrefix])
    for await (const { name } of control.list(prefix)) {
      if (prefix !== olderRecentJobPrefix && !(beganAt(name) < before)) continue
      if (records === recordsMax) return
      records += 1
      yield name
    }
}

/** The time in a job's id, which is not later than the job's end; not a number where there is none. */
const beganAt = (name: string): number => {
  const [, year, month, day, hour, minute, second] = stamp.exec(name) ?? []
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
}

const stamp = /-(\d{4})(\d{2})(\d{2})t(\d{2})(\d{2})(\d{2})z-[0-9a-f]+$/

/** @returns whether it was removed */
const removeRecord = async (deps: CollectDeps, name: string, endedBefore: number): Promise<boolean> => {
  if (name.startsWith(olderRecentJobPrefix)) return (await deps.control.remove(name)) === 'removed'
  const found = await readJson<JobRecord>(deps.control, name)
  if (found === null || found.value.outcome === null) return false
  if (!(Date.parse(found.value.endedAt ?? '') < endedBefore) || (await isNamed(deps, found.value))) return false
  return (await deps.control.remove(name, found.etag)) === 'removed'
}

const isNamed = async ({ control, vault }: CollectDeps, { job }: JobRecord): Promise<boolean> => {
  if ((await readClaim(control, job))?.claim.job.jobId === job.jobId) return true
  if (job.kind !== 'backup') return false
  return (await madeRecoveryPoint(vault, job)) || (await readUnfinished(control, job.vmKey))?.jobId === job.jobId
}

/** One whose record is damaged counts: it may be brought back. */
const madeRecoveryPoint = async (vault: BlobReader, job: BackupJob): Promise<boolean> => {
  try {
    return (await readRecoveryPoint(vault, job)) !== null
  } catch (error) {
    if (error instanceof VaultError) return true
    throw error
  }
}
