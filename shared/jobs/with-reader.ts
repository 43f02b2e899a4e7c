import type { DiskSource } from '../domain/disk-source.ts'
import { type Failed, failed, type JobRef, type Pending } from '../domain/job-ref.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import { SourceError } from '../ports/disk-reader.ts'
import { readClaim } from './claim.ts'
import type { JobDeps } from './job-deps.ts'

type ReaderDeps = Pick<JobDeps, 'access' | 'control' | 'limits'>

/** How long one activity may poll for a grant before it leaves the waiting to a durable timer. */
const grantWaitMs = 10_000

/** Opens a disk's source, and its base where one is given, for one step; see `withAccess`. */
export const withReader = <Outcome>(
  deps: ReaderDeps & Pick<JobDeps, 'openReader'>,
  ref: JobRef,
  sources: { readonly source: DiskSource; readonly base: DiskSource | null },
  use: (reader: DiskReader) => Promise<Outcome>,
): Promise<Outcome | Pending | Failed> =>
  withAccess(deps, ref, sources, async (sasUrl, baseSasUrl) => {
    const reader = deps.openReader(sasUrl, baseSasUrl)
    try {
      return await use(reader)
    } finally {
      reader.close()
    }
  })

/** Gets access to a disk's source, and its base where one is given, for one step. Access that ended meanwhile is granted anew once;
 * throttling becomes `pending`. The URLs never leave this function's callees. The step has looked at the claim
 * before: one of an attempt that is not the current one opens nothing. One whose job has ended meanwhile ends the access it was granted; a later attempt reads through the same URL and ends it
 * itself. Other faults are thrown. */
export const withAccess = async <Outcome>(
  deps: ReaderDeps,
  ref: JobRef,
  sources: { readonly source: DiskSource; readonly base: DiskSource | null },
  use: (sasUrl: string, baseSasUrl: string | null) => Promise<Outcome>,
): Promise<Outcome | Pending | Failed> => {
  const ids = [sources.source.resourceId, ...(sources.base === null ? [] : [sources.base.resourceId])]
  try {
    return await once(deps, ids, use).catch((error: unknown) => {
      if (!(error instanceof SourceError) || error.fault.code !== 'access-ended') throw error
      for (const id of ids) deps.access.forget(id)
      return once(deps, ids, use)
    })
  } catch (error) {
    return expected(error)
  } finally {
    await endAccessOfOverJob(deps, ref, ids)
  }
}

/** Tries at ending the access of a job that is over: nobody else comes to do it, and until it expires it holds back what is released. */
const endTries = 5

/** Never throws: the step's own outcome stands, whatever becomes of its access. */
const endAccessOfOverJob = async (deps: ReaderDeps, ref: JobRef, ids: readonly string[]): Promise<void> => {
  for (let tries = 0; tries < endTries; tries += 1) {
    try {
      if (await isOver(deps.control, ref)) for (const id of ids) await deps.access.revoke(id)
      return
    } catch {
      // Tried again; where the tries are used up, the access ends when it expires.
    }
  }
}

/** True where no attempt of the job is left that would end its accesses, or the one that is left is past doing so. */
const isOver = async (control: JobDeps['control'], ref: JobRef): Promise<boolean> => {
  const held = await readClaim(control, ref)
  return held?.claim.job.jobId !== ref.jobId || held.claim.isClosing === true
}

const once = async <Outcome>(
  deps: ReaderDeps,
  ids: readonly string[],
  use: (sasUrl: string, baseSasUrl: string | null) => Promise<Outcome>,
): Promise<Outcome | Pending | Failed> => {
  const urls: string[] = []
  for (const id of ids) {
    const granted = await deps.access.grantRead(id, deps.limits.accessSeconds, grantWaitMs)
    if (granted.kind !== 'granted') return granted
    urls.push(granted.sasUrl)
  }
  return use(urls[0]!, urls[1] ?? null)
}

const expected = (error: unknown): Pending | Failed => {
  if (!(error instanceof SourceError)) throw error
  const { fault } = error
  if (fault.code === 'throttled') return { kind: 'pending', retryAfterSeconds: fault.retryAfterSeconds }
  if (fault.code === 'gone')
    return failed(
      'source-gone',
      error.message,
      'Start a new backup. Check that nothing but this app removes its restore points.',
    )
  throw error
}
