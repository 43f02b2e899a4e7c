import type { MaintenanceStep, MaintenanceStepOutcome } from '../../domain/maintenance.ts'
import { type Compacted, compactVm } from '../../vault/compact-vm.ts'
import { markVm } from '../../vault/mark-vm.ts'
import { isSettled, isWorthSearching, lookAround, noteSettled } from '../../vault/settled.ts'
import type { JobDeps } from '../job-deps.ts'
import { eachVm } from './each-vm.ts'
import { keyProblem } from './key-problem.ts'

/** Steps of one VM before the next has its turn; what is left waits for the next pass. */
const stepsMax = 64
/** Stored bytes that one step moves out of sparse segments, or shown bytes that it gathers from sparse frames. */
const rewriteBytesMax = 1024 ** 3

/** Keeps the stacks of all VMs short, their segments and frames full. Key: what is folded, from which a fold has its name. Where data keys are not
 * at hand, what needs them is left out and told. A VM of which nothing is new since there was nothing to do is passed over, and data that
 * is hardly shown is searched for once a quarter of a VM's recovery points are new or have ended. */
export const compactVault = async (
  deps: Pick<JobDeps, 'vault' | 'control' | 'clock' | 'keys'>,
  { cursor }: MaintenanceStep,
): Promise<MaintenanceStepOutcome> => {
  const around = await lookAround(deps.control)
  return eachVm(deps, cursor, async (vm) => {
    const marks = await markVm(deps, vm)
    if (isSettled(vm, marks, around)) return {}
    const hasSearched = isWorthSearching(vm, marks)
    const of = { vmKey: vm.vmKey, stepsMax, rewriteBytesMax: hasSearched ? rewriteBytesMax : 0 }
    const compacted = await compactVm(deps, of)
    if (isIdle(compacted)) await noteSettled(deps.control, vm, marks, { around, hasSearched })
    const { folded, rewrittenBytes, leftOut } = compacted
    return { folded, rewrittenBytes, problem: leftOut === undefined ? null : keyProblem(leftOut) }
  })
}

/** Nothing was to be done. */
const isIdle = ({ kind, folded, revisions, leftOut }: Compacted): boolean =>
  kind === 'done' && folded === 0 && revisions === 0 && leftOut === undefined
