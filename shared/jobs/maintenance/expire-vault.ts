import { failed } from '../../domain/job-ref.ts'
import type { MaintenanceStep, MaintenanceStepOutcome } from '../../domain/maintenance.ts'
import { type DamageReport, damageOf, listDamage } from '../../vault/damage-reports.ts'
import { expireRecoveryPoints, mayExpire } from '../../vault/expire-recovery-points.ts'
import { markVm } from '../../vault/mark-vm.ts'
import type { JobDeps } from '../job-deps.ts'
import { eachVm } from './each-vm.ts'
import { readRetentions } from './retentions.ts'

/** Recovery points of one VM that one pass ends: a retention that was set far too short by mistake does not take all at once. */
const expiryMax = 32

/** Ends the recovery points of all VMs that their policies do not keep. Key: the recovery point. VMs without a policy, and policies without
 * a retention, keep everything; so do, for now, VMs whose last policy cannot be told, which is a problem of theirs alone. While one policy cannot be read nothing ends. */
export const expireVault = async (
  deps: Pick<JobDeps, 'vault' | 'control' | 'clock' | 'inventory'> & { readonly subscriptionIds: readonly string[] },
  { cursor }: MaintenanceStep,
): Promise<MaintenanceStepOutcome> => {
  const read = await readRetentions(deps)
  if (read.kind === 'unreadable')
    return failed(
      'policy-unreadable',
      `Nothing expires while a policy cannot be read: ${read.problems.join(' ')}`,
      'Correct the policy; the next pass goes on.',
    )
  const known = await pointsKnownDamaged(deps)
  return eachVm(deps, cursor, async (vm) => {
    const { vmKey } = vm
    const found = await read.policiesOf(vmKey)
    if (found.kind === 'unknown') return { problem: found.problem }
    const { policies } = found
    const timeZone = policies[0]?.schedule.timeZone ?? 'UTC'
    const retentions = policies.flatMap(({ retention }) => retention ?? [])
    if (retentions.length === 0 || retentions.length < policies.length) return {}
    if (!mayExpire(vm, await markVm(deps, vm), { retentions, timeZone, damaged: known })) return {}
    const damaged = await damagedPoints(deps, vmKey)
    const { expired } = await expireRecoveryPoints(deps.vault, { vmKey, retentions, timeZone, damaged, expiryMax })
    return { expired: expired.length }
  })
}

const damagedPoints = async ({ control }: Pick<JobDeps, 'control'>, vmKey: string): Promise<ReadonlySet<string>> =>
  touchedBy(await damageOf(control, vmKey))

/** Of all VMs, read once for a step: enough to tell where nothing ends. */
const pointsKnownDamaged = async ({ control }: Pick<JobDeps, 'control'>): Promise<ReadonlySet<string>> => {
  const reports: DamageReport[] = []
  for await (const report of listDamage(control, null)) reports.push(report)
  return touchedBy(reports)
}

const touchedBy = (reports: readonly DamageReport[]): ReadonlySet<string> =>
  new Set(reports.flatMap(({ touches }) => touches.map(({ recoveryPointId }) => recoveryPointId)))
