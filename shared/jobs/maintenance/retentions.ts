import { vmKeyOf } from '../../domain/ids.ts'
import type { StepProblem } from '../../domain/maintenance.ts'
import type { Policy } from '../../domain/policy.ts'
import { VaultError } from '../../format/vault-error.ts'
import { listRecoveryPoints, readRecoveryPoint } from '../../vault/recovery-points.ts'
import type { JobDeps } from '../job-deps.ts'
import { readJobRecord } from '../job-records.ts'
import { ControlObjectError } from '../json-object.ts'
import { listPolicies } from '../policies.ts'
import { selectVms } from '../select-vms.ts'

type RetentionDeps = Pick<JobDeps, 'control' | 'inventory' | 'vault'> & { readonly subscriptionIds: readonly string[] }

/** Finds the policies that a VM's recovery points are kept by. `unknown`: they stand in a record that cannot be read; by another policy something
 * might end that they keep. */
export type PoliciesOf = (
  vmKey: string,
) => Promise<
  | { readonly kind: 'known'; readonly policies: readonly Policy[] }
  | { readonly kind: 'unknown'; readonly problem: StepProblem }
>

/** Reads all policies, and once which VMs each of them selects. A VM that none selects, as it is gone or was taken out, keeps the rules of
 * the policy that its newest recovery point was made by, if that policy is still there.
 * @returns the policies' names and problems instead, where a policy cannot be read: it might keep what the others do not */
export const readRetentions = async (
  deps: RetentionDeps,
): Promise<
  | { readonly kind: 'read'; readonly policiesOf: PoliciesOf }
  | { readonly kind: 'unreadable'; readonly problems: readonly string[] }
> => {
  const policies: Policy[] = []
  const problems: string[] = []
  for await (const found of listPolicies(deps.control)) {
    if (found.kind === 'problem') problems.push(`${found.name}: ${found.problem}`)
    else policies.push(found.policy)
  }
  if (problems.length > 0) return { kind: 'unreadable', problems }
  const selecting = await selectedVms(deps, policies)
  const policiesOf: PoliciesOf = async (vmKey) => {
    const selected = selecting.get(vmKey)
    if (selected !== undefined) return { kind: 'known', policies: selected }
    try {
      const name = await lastPolicyOf(deps, vmKey)
      return { kind: 'known', policies: policies.filter((policy) => policy.name === name) }
    } catch (error) {
      return { kind: 'unknown', problem: problemOf(vmKey, error) }
    }
  }
  return { kind: 'read', policiesOf }
}

/** What another try may cure is thrown on. */
const problemOf = (vmKey: string, error: unknown): StepProblem => {
  if (!(error instanceof VaultError) && !(error instanceof ControlObjectError)) throw error
  const end = `POST vms/${vmKey}/recovery-points/{recoveryPointId}/expire`
  return {
    reason: 'last-policy-unknown',
    message: `No policy selects it, and the record that names the policy of its last backup cannot be read, so nothing of it expires. ${error.message}`,
    hint: `${error instanceof VaultError ? `${error.hint} ` : ''}A recovery point is given up by ${end}; a VM that a policy selects keeps the rules of that one.`,
  }
}

const selectedVms = async (
  deps: RetentionDeps,
  policies: readonly Policy[],
): Promise<ReadonlyMap<string, readonly Policy[]>> => {
  const selecting = new Map<string, Policy[]>()
  for (const policy of policies) {
    const note = async (vmId: string): Promise<boolean> => {
      const vmKey = vmKeyOf(vmId)
      selecting.set(vmKey, [...(selecting.get(vmKey) ?? []), policy])
      return false
    }
    for await (const _described of selectVms(deps, policy.selection, deps.subscriptionIds, note));
  }
  return selecting
}

const lastPolicyOf = async (deps: RetentionDeps, vmKey: string): Promise<string | null> => {
  const ids: string[] = []
  for await (const { recoveryPointId } of listRecoveryPoints(deps.vault, vmKey)) ids.push(recoveryPointId)
  for (const recoveryPointId of ids.reverse()) {
    const found = await readRecoveryPoint(deps.vault, { vmKey, recoveryPointId })
    if (found === null) continue
    const job = (await readJobRecord(deps.control, found.recoveryPoint.jobId))?.job
    if (job?.kind === 'backup' && job.policy !== null) return job.policy
  }
  return null
}
