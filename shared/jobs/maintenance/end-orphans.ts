import { isRecoveryPointOf } from '../../domain/ids.ts'
import { intentsPrefix } from '../../format/names.ts'
import { fenceRecoveryPoint } from '../../vault/fence-recovery-point.ts'
import { dropIntent, type Intent, readIntent } from '../../vault/intents.ts'
import { readClaim } from '../claim.ts'
import { endedJobPrefix, jobIdOfEnded, vmKeyOfBackup } from '../control-names.ts'
import type { JobDeps } from '../job-deps.ts'
import { readEnding, readJobRecord } from '../job-records.ts'
import { ControlObjectError } from '../json-object.ts'
import { readUnfinished } from '../unfinished.ts'

type EndDeps = Pick<JobDeps, 'control' | 'vault'>

/** Ends what the intents of jobs stand for that nobody knows any more, as the claim or the note that named them was lost or removed: without that their
 * objects would stay for good. A job writes its intent behind its claim, and gives the claim back when its intent is gone or the job is noted as
 * unfinished: who is in neither after the intent was read will never go on. A backup is fenced off, should a step of it still be asleep; but not one that was
 * committed, whose intent a late twin wrote again: where its record was lost a fence would take the name under which that can be brought back. Repeatable.
 * @throws VaultError where an intent cannot be read */
export const endOrphans = async (deps: EndDeps): Promise<void> => {
  for await (const { name } of deps.control.list(intentsPrefix)) {
    const intent = await readIntent(deps.control, name, {})
    if (intent === null) continue
    await endOrphan(deps, intent).catch(faultsOnly)
  }
}

const endOrphan = async (deps: EndDeps, intent: Intent): Promise<void> => {
  const { kind, id, vmKey } = intent
  if (!(await (kind === 'backup' ? isLostBackup : isLostJob)(deps, intent))) return
  if (kind === 'backup' && !(await wasCommitted(deps, intent)))
    await fenceRecoveryPoint(deps, { vmKey, recoveryPointId: id })
  else await dropIntent(deps.control, id)
}

const isLostBackup = async ({ control }: EndDeps, { id, vmKey }: Intent): Promise<boolean> => {
  const held = await readClaim(control, { jobId: '', vmKey })
  if (held?.claim.job.recoveryPointId === id) return false
  return (await readUnfinished(control, vmKey))?.recoveryPointId !== id
}

/** Of a restore or a verification, which are recorded before their intent goes. */
const isLostJob = async ({ control }: EndDeps, { kind, id }: Intent): Promise<boolean> =>
  kind !== 'compaction' && (await readJobRecord(control, id)) === null

/** True where a job is recorded as having committed it. The time in the job's id is another one than that of the recovery point. */
const wasCommitted = async ({ control }: EndDeps, { id, vmKey }: Intent): Promise<boolean> => {
  for await (const { name } of control.list(endedJobPrefix)) {
    const jobId = jobIdOfEnded(name)
    if (!isRecoveryPointOf(id, jobId) || vmKeyOfBackup(jobId) !== vmKey) continue
    const outcome = (await readEnding(control, jobId))?.outcome
    if (outcome?.kind === 'completed' && outcome.recoveryPointId === id) return true
  }
  return false
}

/** What cannot be read may name it, or tell of its commit: the intent stays. */
const faultsOnly = (error: unknown): void => {
  if (!(error instanceof ControlObjectError)) throw error
}
