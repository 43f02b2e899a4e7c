import { failed } from '../../domain/job-ref.ts'
import type { MaintenanceStep, MaintenanceStepOutcome } from '../../domain/maintenance.ts'
import { damageOf } from '../../vault/damage-reports.ts'
import { expireRecoveryPoints } from '../../vault/expire-recovery-points.ts'
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
  return eachVm(deps, cursor, async ({ vmKey }) => {
    const known = await read.policiesOf(vmKey)
    if (known.kind === 'unknown') return { problem: known.problem }
    const { policies } = known
    const timeZone = policies[0]?.schedule.timeZone ?? 'UTC'
    const retentions = policies.map(({ retention }) => retention)
    const damaged = await damagedPoints(deps, vmKey)
    const { expired } = await expireRecoveryPoints(deps.vault, { vmKey, retentions, timeZone, damaged, expiryMax })
    return { expired: expired.length }
  })
}

const damagedPoints = async ({ control }: Pick<JobDeps, 'control'>, vmKey: string): Promise<ReadonlySet<string>> => {
  const reports = await damageOf(control, vmKey)
  return new Set(reports.flatMap(({ touches }) => touches.map(({ recoveryPointId }) => recoveryPointId)))
}
