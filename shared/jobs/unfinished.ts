import type { BackupJob, Claim } from '../domain/job.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { fenceRecoveryPoint } from '../vault/fence-recovery-point.ts'
import { dropIntent } from '../vault/intents.ts'
import type { RecoveryPointKey } from '../vault/recovery-points.ts'
import { closePlan, readBackupPlan, readSources, type Unfinished } from './backup-plan.ts'
import { unfinishedName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { encodeJson, readJson } from './json-object.ts'

/** `unfinished/<vmKey>`: the VM's last backup, where it took its copies and ended without a commit. It is the one that can go on; written
 * and removed only under the VM's claim, but for a note of copies that are gone. Null where the VM's last backup is committed, or took no copies to go on with. */
export const readUnfinished = async (control: BlobReader, vmKey: string): Promise<Unfinished | null> =>
  (await readJson<Unfinished>(control, unfinishedName(vmKey)))?.value ?? null

type EndingDeps = Pick<JobDeps, 'control' | 'vault'>

/** Notes the ending of a backup. What can never be committed any more is fenced off, so that a late step of it cannot commit either, and only
 * then loses its intent: this backup unless it is committed or can go on, and the unfinished one whose place it takes. Key: the
 * job; repeatable. */
export const noteEnding = async (
  deps: EndingDeps,
  job: BackupJob,
  { isCommitted, resumed }: Pick<Claim, 'resumed'> & { readonly isCommitted: boolean },
): Promise<void> => {
  const { control } = deps
  const { jobId, vmKey, recoveryPointId } = job
  // A job whose notes are damaged ends all the same, and cannot go on.
  const canGoOn = !isCommitted && (await readSources(control, recoveryPointId).catch(nullIfUnreadable)) !== null
  if (isCommitted) await dropIntent(control, recoveryPointId)
  else if (!canGoOn) {
    await closePlan(control, recoveryPointId).catch(nullIfUnreadable)
    return fenceRecoveryPoint(deps, job)
  }
  const before = await unfinishedBefore(control, job, resumed)
  if (before !== null && before.jobId !== jobId)
    await fenceRecoveryPoint(deps, { vmKey, recoveryPointId: before.recoveryPointId })
  if (canGoOn) await control.put(unfinishedName(vmKey), encodeJson({ jobId, recoveryPointId } satisfies Unfinished))
  else if (before !== null) await control.remove(unfinishedName(vmKey))
}

/** As the plan was made under this very claim, it names what the note names. Not so for a job that goes on under another claim than its plan's. */
const unfinishedBefore = async (
  control: BlobReader,
  { recoveryPointId, vmKey }: BackupJob,
  resumed: Claim['resumed'],
): Promise<Unfinished | null> => {
  const plan = resumed === undefined ? await readBackupPlan(control, recoveryPointId).catch(nullIfUnreadable) : null
  return plan?.unfinished === undefined ? readUnfinished(control, vmKey) : plan.unfinished
}

/** Gives an unfinished backup up whose copies are gone. Repeatable. */
export const giveUnfinishedUp = async (deps: EndingDeps, job: Unfinished & RecoveryPointKey): Promise<void> => {
  const { control } = deps
  await fenceRecoveryPoint(deps, job)
  const noted = await readJson<Unfinished>(control, unfinishedName(job.vmKey))
  if (noted?.value.jobId === job.jobId) await control.remove(unfinishedName(job.vmKey), noted.etag)
}
