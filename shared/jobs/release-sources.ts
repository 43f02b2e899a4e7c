import { failed, type JobRef } from '../domain/job-ref.ts'
import { readCommitted } from '../vault/commit-recovery-point.ts'
import { planMissing, readBackupPlan } from './backup-plan.ts'
import { claimOf } from './claim.ts'
import type { Closed } from './close-job.ts'
import type { JobDeps } from './job-deps.ts'

/** Removes the platform's copies that no longer are a base, of both kinds, and keeps those of this recovery point: the next backup is
 * compared with them. Does nothing before the commit. Key: the recovery point; an attempt that is not the current one removes
 * nothing. */
export const releaseSources = async (
  deps: Pick<JobDeps, 'control' | 'snapshots' | 'vault'>,
  ref: JobRef,
): Promise<Closed> => {
  const claim = await claimOf(deps.control, ref)
  if ('kind' in claim) return { kind: 'superseded' }
  return (await readCommitted(deps.vault, ref))?.kind === 'committed' ? releaseCommitted(deps, ref) : notCommitted
}

/** The same where the caller has just seen the claim and the commit. */
export const releaseCommitted = async (
  deps: Pick<JobDeps, 'control' | 'snapshots'>,
  ref: Pick<JobRef, 'recoveryPointId' | 'vmKey'>,
): Promise<Exclude<Closed, { readonly kind: 'superseded' }>> => {
  const plan = await readBackupPlan(deps.control, ref.recoveryPointId)
  if (plan === null) return planMissing
  const vm = { vmId: plan.vm.vmId, vmKey: ref.vmKey }
  let removed = 0
  for (const kind of ['restorePoints', 'diskSnapshots'] as const) {
    const released = await deps.snapshots[kind].release(vm, [ref.recoveryPointId])
    if (released.kind !== 'released') return released
    removed += released.removed
  }
  return { kind: 'released', removed }
}

const notCommitted = failed(
  'not-committed',
  'Nothing is released, because the recovery point is not committed.',
  'Start a new backup.',
)
