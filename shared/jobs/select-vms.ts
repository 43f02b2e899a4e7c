import type { PolicySelection } from '../domain/policy.ts'
import type { VmDescription, VmSelection } from '../domain/vm.ts'
import type { IsWanted } from '../ports/compute.ts'
import type { JobDeps } from './job-deps.ts'

/** The VMs that a policy or a request means.
 * @param subscriptionIds those the app is set up for: used where the selection names none
 * @param isWanted is asked of each VM before it is described */
export const selectVms = (
  deps: Pick<JobDeps, 'inventory'>,
  selection: PolicySelection,
  subscriptionIds: readonly string[],
  isWanted?: IsWanted,
): AsyncIterable<VmDescription> => {
  const { resourceGroups, tags } = selection
  const asked: VmSelection = {
    subscriptionIds: selection.subscriptionIds ?? subscriptionIds,
    ...(resourceGroups === undefined ? {} : { resourceGroups }),
    ...(tags === undefined ? {} : { tags }),
  }
  return deps.inventory.select(asked, isWanted)
}
