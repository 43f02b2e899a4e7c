import { type DamageReport, damageOf } from '../../shared/vault/damage-reports.ts'
import type { Services } from '../services.ts'

/** The disks of a recovery point that are known not to be restored whole, in order of label; null: all of it. Empty where nothing is known. */
export type DamagedDisks = readonly string[] | null

/** Reads the reports of one VM, once. */
export const knownDamage = async (
  { control }: Pick<Services, 'control'>,
  vmKey: string,
): Promise<(recoveryPointId: string) => DamagedDisks> => {
  const touches = (await damageOf(control, vmKey)).flatMap((report: DamageReport) => report.touches)
  return (recoveryPointId) => {
    const disks = new Set<string>()
    for (const touch of touches) {
      if (touch.recoveryPointId !== recoveryPointId) continue
      if (touch.disk === null) return null
      disks.add(touch.disk)
    }
    return [...disks].sort()
  }
}
