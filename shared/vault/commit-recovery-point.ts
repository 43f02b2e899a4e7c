import type { RecoveryPoint } from '../domain/recovery-point.ts'
import { recoveryPointName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, CallOptions } from '../ports/blob-store.ts'
import { createSealed } from './objects.ts'
import { merkleRootOf } from './recovery-point-schema.ts'
import { type FoundRecoveryPoint, readRevision } from './recovery-points.ts'

/** What the caller knows of a recovery point; the rest follows from it. */
export type RecoveryPointDraft = Omit<RecoveryPoint, 'format' | 'revision' | 'merkleRoot' | 'keyId'>

export type Committed = ({ readonly kind: 'committed' } & FoundRecoveryPoint) | { readonly kind: 'aborted' }

/** Makes the recovery point visible, all disks at once: the only commit point. Key: (vmKey, recoveryPointId). Whoever comes second,
 * a repeated run or a twin, gets the record that is there; `aborted` where the recovery point was fenced off before.
 * @throws VaultError */
export const commitRecoveryPoint = async (
  deps: { readonly vault: BlobCreator },
  draft: RecoveryPointDraft,
  options: CallOptions = {},
): Promise<Committed> => {
  const record: RecoveryPoint = {
    format: 0,
    ...draft,
    revision: 1,
    keyId: null,
    merkleRoot: merkleRootOf(draft.disks),
  }
  const name = recoveryPointName(draft.vmKey, draft.recoveryPointId, 1)
  await createSealed(deps.vault, name, record, options)
  const found = await readRevision(deps.vault, draft, 1, options)
  if (found === null) throw new VaultError({ code: 'object-missing', name })
  if (!('disks' in found.record)) return { kind: 'aborted' }
  return { kind: 'committed', recoveryPoint: found.record, digest: found.digest }
}
