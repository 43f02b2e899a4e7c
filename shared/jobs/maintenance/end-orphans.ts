import { intentsPrefix } from '../../format/names.ts'
import { fenceRecoveryPoint } from '../../vault/fence-recovery-point.ts'
import { dropIntent, type Intent, readIntent } from '../../vault/intents.ts'
import { readClaim } from '../claim.ts'
import type { JobDeps } from '../job-deps.ts'
import { readJobRecord } from '../job-records.ts'
import { ControlObjectError } from '../json-object.ts'
import { readUnfinished } from '../unfinished.ts'

type EndDeps = Pick<JobDeps, 'control' | 'vault'>

/** Ends what the intents of jobs stand for that nobody knows any more, as the claim or the note that named them was lost or removed: without that their
 * objects would stay for good. A job writes its intent behind its claim, and gives the claim back when its intent is gone or the job is noted as
 * unfinished: who is in neither after the intent was read will never go on. A backup is fenced off, should a step of it still be asleep. Repeatable.
 * @throws VaultError where an intent cannot be read */
export const endOrphans = async (deps: EndDeps): Promise<void> => {
  for await (const { name } of deps.control.list(intentsPrefix)) {
    const intent = await readIntent(deps.control, name, {})
    if (intent === null) continue
    const isOrphan = await (intent.kind === 'backup' ? isLostBackup(deps, intent) : isLostJob(deps, intent)).catch(
      asKnown,
    )
    if (!isOrphan) continue
    if (intent.kind === 'backup') await fenceRecoveryPoint(deps, { vmKey: intent.vmKey, recoveryPointId: intent.id })
    else await dropIntent(deps.control, intent.id)
  }
}

const isLostBackup = async ({ control }: EndDeps, { id, vmKey }: Intent): Promise<boolean> => {
  const held = await readClaim(control, { jobId: '', vmKey })
  if (held?.claim.job.recoveryPointId === id) return false
  return (await readUnfinished(control, vmKey))?.recoveryPointId !== id
}

/** Of a restore or a verification, which are recorded before their intent goes. */
const isLostJob = async ({ control }: EndDeps, { kind, id }: Intent): Promise<boolean> =>
  kind !== 'compaction' && (await readJobRecord(control, id)) === null

/** What cannot be read may name it. */
const asKnown = (error: unknown): boolean => {
  if (error instanceof ControlObjectError) return false
  throw error
}
