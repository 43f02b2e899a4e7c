import type { PolicySelection } from '../domain/policy.ts'
import type { VmDescription, VmSelection } from '../domain/vm.ts'
import type { JobDeps } from './job-deps.ts'

/** The VMs that a policy or a request means.
 * @param subscriptionIds those the app is set up for: used where the selection names none */
export const selectVms = (
  deps: Pick<JobDeps, 'inventory'>,
  selection: PolicySelection,
  subscriptionIds: readonly string[],
): AsyncIterable<VmDescription> => {
  const { resourceGroups, tags } = selection
  const asked: VmSelection = {
    subscriptionIds: selection.subscriptionIds ?? subscriptionIds,
    ...(resourceGroups === undefined ? {} : { resourceGroups }),
    ...(tags === undefined ? {} : { tags }),
  }
  return deps.inventory.select(asked)
}
