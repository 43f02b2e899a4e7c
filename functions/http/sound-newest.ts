import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import type { BlobReader, CallOptions } from '../../shared/ports/blob-store.ts'
import type { DamageReport } from '../../shared/vault/damage-reports.ts'
import { showsDamage } from '../../shared/vault/heal.ts'
import { latestReadableRecoveryPoint } from '../../shared/vault/recovery-points.ts'

/** By report: the newest recovery point of its VM that can be read, where that has all disks that the report touches and shows nothing of the damage, as
 * behind a backup that stored the data again. Reports may be older than it, so its indexes are looked at. Left out are reports that touch nothing, and all for
 * which that does not hold, or could not be told while `signal` lasts.
 * @param reports of whatever VMs */
export const soundNewest = async (
  vault: BlobReader,
  reports: readonly DamageReport[],
  signal: AbortSignal,
): Promise<ReadonlyMap<DamageReport, string>> => {
  const sound = new Map<DamageReport, string>()
  const byVm = Map.groupBy(
    reports.filter(({ touches }) => touches.length > 0),
    ({ vmKey }) => vmKey,
  )
  for (const [vmKey, known] of byVm)
    try {
      const { found } = await latestReadableRecoveryPoint(vault, vmKey, { signal })
      if (found === null) continue
      for (const report of await untouched(vault, found.recoveryPoint, known, { signal }))
        sound.set(report, found.recoveryPoint.recoveryPointId)
    } catch (error) {
      if (signal.aborted) break
      throw error
    }
  return sound
}

/** All of those that do not touch it by their own word, or none where it shows damage of one. */
const untouched = async (
  vault: BlobReader,
  { recoveryPointId, disks }: RecoveryPoint,
  reports: readonly DamageReport[],
  options: CallOptions,
): Promise<readonly DamageReport[]> => {
  const labels = new Set(disks.map(({ disk }) => disk))
  const candidates = reports.filter(({ touches }) =>
    touches.every(
      (touch) => touch.recoveryPointId !== recoveryPointId && (touch.disk === null || labels.has(touch.disk)),
    ),
  )
  return candidates.length === 0 || (await showsDamage(vault, disks, candidates, options)) ? [] : candidates
}
