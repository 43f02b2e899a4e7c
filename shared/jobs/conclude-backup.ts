import type { JobOutcome } from '../domain/job.ts'
import { type Failed, type JobRef, superseded } from '../domain/job-ref.ts'
import { type HeldClaim, markClosing } from './claim.ts'
import { closeSources } from './close-job.ts'
import { type CommittedJob, commitClaimed } from './commit-job.ts'
import { endJob } from './finish-job.ts'
import type { JobDeps } from './job-deps.ts'
import { releaseCommitted } from './release-sources.ts'

/** `committed`: the recovery point is visible, and the platform is not done with accesses or copies: what is left is for the steps that do it
 * one by one. `concluded`: nothing is left. */
export type Concluded =
  | CommittedJob
  | (Omit<CommittedJob, 'kind'> & {
      readonly kind: 'concluded'
      /** Copies of the platform that are no base any more. */
      readonly removed: number
      readonly milliseconds: number
    })
  | Failed

type ConcludeDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'snapshots' | 'vault'>

/** The ending of a backup whose disks are all transferred, as one step: commits, ends its accesses, removes copies that are no base any more,
 * records the outcome and gives the claim back. Key: the recovery point; an attempt that is not the current one changes nothing: the mark in the
 * claim, which is made first and only under its token, is the fence for all of it. Repeatable from any of its calls on. */
export const concludeBackup = async (
  deps: ConcludeDeps,
  { outcome, ...ref }: JobRef & { readonly outcome: JobOutcome },
): Promise<Concluded> => {
  const held = await markClosing(deps.control, ref)
  if (held === null) return superseded
  const committed = await commitClaimed(deps, ref, outcome.kind === 'completed' ? outcome.summary.disks : [])
  if (committed.kind === 'failed') return committed
  return (await tidyUp(deps, ref, held, { committed, outcome })) ?? committed
}

/** Null where the platform asks for patience, or refuses. */
const tidyUp = async (
  deps: ConcludeDeps,
  ref: JobRef,
  held: HeldClaim,
  { committed, outcome }: { readonly committed: CommittedJob; readonly outcome: JobOutcome },
): Promise<Concluded | null> => {
  if ((await closeSources(deps, ref)).kind !== 'released') return null
  const released = await releaseCommitted(deps, ref)
  if (released.kind !== 'released') return null
  const { startedAt, endedAt } = await endJob(deps, held, outcome)
  const milliseconds = Date.parse(endedAt ?? startedAt) - Date.parse(startedAt)
  return { ...committed, kind: 'concluded', removed: released.removed, milliseconds }
}
