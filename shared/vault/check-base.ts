import type { RecoveryPoint } from '../domain/recovery-point.ts'
import { nullIfDamaged } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { readCondemned } from './condemned.ts'
import type { Intent } from './intents.ts'
import { rereadRecoveryPoint } from './recovery-points.ts'

/** The recovery point that a backup may build on, in the revision that it may build on. Null where it has ended, is about to be collected, is
 * damaged, or is not what the intent protects. To be asked behind the intent: what was read before may be gone (docs/adr/0015).
 * @param seen what was read of it before the intent */
export const checkBase = async (
  deps: { readonly vault: BlobReader; readonly control: BlobReader },
  intent: Intent,
  seen: RecoveryPoint,
  options: CallOptions = {},
): Promise<RecoveryPoint | null> => {
  if (!intent.dependsOn.includes(seen.recoveryPointId)) return null
  const base = await rereadRecoveryPoint(deps.vault, seen, options).catch(nullIfDamaged)
  if (base === null) return null
  const condemned = await readCondemned(deps.control, options).catch(nullIfDamaged)
  // The record that was read behind the intent is enough by itself: a list is a second net, and one that is damaged stops passes, not backups.
  if (condemned === null) return base
  if (condemned.recoveryPointIds.has(base.recoveryPointId)) return null
  const layers = base.disks.flatMap(({ stack }) => stack)
  return layers.some(({ layerId }) => condemned.layerIds.has(layerId)) ? null : base
}
