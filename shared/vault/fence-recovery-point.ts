import { recoveryPointName } from '../format/names.ts'
import { formatVersion } from '../format/sectors.ts'
import type { BlobCreator, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { dropIntent } from './intents.ts'
import { createSealed } from './objects.ts'
import type { RecoveryPointKey } from './recovery-points.ts'

/** Ends a backup that is given up: creates its commit record as `aborted`, unless it is committed, so that a step of it that still runs
 * somewhere finds the name taken; only then its intent goes. Exactly one of commit and fence wins. Key: the recovery point; repeatable. */
export const fenceRecoveryPoint = async (
  deps: { readonly vault: BlobCreator; readonly control: ControlStore },
  { vmKey, recoveryPointId }: RecoveryPointKey,
  options: CallOptions = {},
): Promise<void> => {
  const record = { format: formatVersion, aborted: true, recoveryPointId, revision: 1, vmKey }
  await createSealed(deps.vault, recoveryPointName(vmKey, recoveryPointId, 1), record, options)
  await dropIntent(deps.control, recoveryPointId, options)
}
