import type { DiskSource } from '../domain/disk-source.ts'
import { type Failed, failed, type JobRef, type Pending, type Stopped, superseded } from '../domain/job-ref.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import { SourceError } from '../ports/disk-reader.ts'
import { type HeldClaim, readClaim } from './claim.ts'
import type { JobDeps } from './job-deps.ts'

type ReaderDeps = Pick<JobDeps, 'access' | 'control' | 'limits'>

/** How long one activity may poll for a grant before it leaves the waiting to a durable timer. */
const grantWaitMs = 10_000

/** Why a step does not get to its sources. */
type NoAccess = Pending | Stopped | Failed

/** Opens a disk's source, and its base where one is given, for one step; see `withAccess`. */
export const withReader = <Outcome>(
  deps: ReaderDeps & Pick<JobDeps, 'openReader'>,
  ref: JobRef,
  sources: { readonly source: DiskSource; readonly base: DiskSource | null },
  use: (reader: DiskReader) => Promise<Outcome>,
): Promise<Outcome | NoAccess> =>
  withAccess(deps, ref, sources, async (sasUrl, baseSasUrl) => {
    const reader = deps.openReader(sasUrl, baseSasUrl)
    try {
      return await use(reader)
    } finally {
      reader.close()
    }
  })

/** Gets access to a disk's source, and its base where one is given, for one step. Access that ended meanwhile is granted anew once;
 * throttling becomes `pending`. The URLs never leave this function's callees.
 *
 * The claim is looked at behind every grant, and only there: whoever closes the job marks the claim before it ends the accesses, so an access that
 * was granted either is ended by it, or its step sees the mark and ends the access itself. A step of an attempt that is not the current one, or
 * that was asked to stop, uses nothing. Other faults are thrown. */
export const withAccess = async <Outcome>(
  deps: ReaderDeps,
  ref: JobRef,
  sources: { readonly source: DiskSource; readonly base: DiskSource | null },
  use: (sasUrl: string, baseSasUrl: string | null) => Promise<Outcome>,
): Promise<Outcome | NoAccess> => {
  const ids = [sources.source.resourceId, ...(sources.base === null ? [] : [sources.base.resourceId])]
  try {
    return await once(deps, ref, ids, use).catch((error: unknown) => {
      if (!(error instanceof SourceError) || error.fault.code !== 'access-ended') throw error
      for (const id of ids) deps.access.forget(id)
      return once(deps, ref, ids, use)
    })
  } catch (error) {
    return expected(error)
  }
}

const once = async <Outcome>(
  deps: ReaderDeps,
  ref: JobRef,
  ids: readonly string[],
  use: (sasUrl: string, baseSasUrl: string | null) => Promise<Outcome>,
): Promise<Outcome | NoAccess> => {
  const granted = await grantAll(deps, ids).catch(async (error: unknown) => {
    await lookBehind(deps, ref, ids)
    throw error
  })
  const obstacle = await lookBehind(deps, ref, ids)
  if (obstacle !== null) return obstacle
  return 'kind' in granted ? granted : use(granted[0]!, granted[1] ?? null)
}

const grantAll = async (deps: ReaderDeps, ids: readonly string[]): Promise<readonly string[] | NoAccess> => {
  const urls: string[] = []
  for (const id of ids) {
    const granted = await deps.access.grantRead(id, deps.limits.accessSeconds, grantWaitMs)
    if (granted.kind !== 'granted') return granted
    urls.push(granted.sasUrl)
  }
  return urls
}

/** Tries at ending the access of a job that is over: nobody else comes to do it, and until it expires it holds back what is released. */
const lookTries = 5

/** Null where the step may go on. Access of a job that is over is ended: no attempt is left that would, or the one that is left is past doing so.
 * That of a superseded attempt stays: the later one reads through the same URL, and ends it. */
const lookBehind = async (deps: ReaderDeps, ref: JobRef, ids: readonly string[]): Promise<Stopped | Failed | null> => {
  for (let left = lookTries; ; left -= 1) {
    try {
      const held = await readClaim(deps.control, ref)
      if (isOver(held, ref)) for (const id of ids) await deps.access.revoke(id)
      return obstacleIn(held, ref)
    } catch (error) {
      if (left === 1) throw error
    }
  }
}

const isOver = (held: HeldClaim | null, { jobId }: JobRef): boolean =>
  held?.claim.job.jobId !== jobId || held.claim.isClosing === true

const obstacleIn = (held: HeldClaim | null, ref: JobRef): Stopped | Failed | null => {
  if (held?.claim.token !== ref.token || held.claim.isClosing === true) return superseded
  return held.claim.stopping === undefined ? null : { kind: 'stopped', reason: held.claim.stopping }
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
