import type { BackupJob } from '../domain/job.ts'
import type { BlobReader, ControlStore } from '../ports/blob-store.ts'
import { dropIntent } from '../vault/intents.ts'
import { readSources } from './backup-plan.ts'
import { unfinishedName } from './control-names.ts'
import { encodeJson, readJson } from './json-object.ts'

/** `unfinished/<vmKey>`: the VM's last backup, where it took its copies and ended without a commit. It is the one that can go on; written
 * and removed only under the VM's claim, but for a note of copies that are gone. */
export interface Unfinished {
  readonly jobId: string
  readonly recoveryPointId: string
}

/** Null where the VM's last backup is committed, or took no copies to go on with. */
export const readUnfinished = async (control: BlobReader, vmKey: string): Promise<Unfinished | null> =>
  (await readJson<Unfinished>(control, unfinishedName(vmKey)))?.value ?? null

/** Notes the ending of a backup, and drops the intents that nothing can need any more: its own unless it can go on, and that of the
 * unfinished backup whose place it takes. Key: the job; repeatable. */
export const noteEnding = async (control: ControlStore, job: BackupJob, isCommitted: boolean): Promise<void> => {
  const { jobId, vmKey, recoveryPointId } = job
  const canGoOn = !isCommitted && (await readSources(control, recoveryPointId)) !== null
  if (!canGoOn) await dropIntent(control, recoveryPointId)
  if (!canGoOn && !isCommitted) return
  const before = await readUnfinished(control, vmKey)
  if (before !== null && before.jobId !== jobId) await dropIntent(control, before.recoveryPointId)
  if (canGoOn) await control.put(unfinishedName(vmKey), encodeJson({ jobId, recoveryPointId } satisfies Unfinished))
  else if (before !== null) await control.remove(unfinishedName(vmKey))
}

/** Gives an unfinished backup up whose copies are gone. Repeatable. */
export const giveUnfinishedUp = async (control: ControlStore, job: BackupJob): Promise<void> => {
  await dropIntent(control, job.recoveryPointId)
  const noted = await readJson<Unfinished>(control, unfinishedName(job.vmKey))
  if (noted?.value.jobId === job.jobId) await control.remove(unfinishedName(job.vmKey), noted.etag)
}
