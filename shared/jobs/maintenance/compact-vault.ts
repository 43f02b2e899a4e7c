import type { MaintenanceStep, MaintenanceStepOutcome, StepProblem } from '../../domain/maintenance.ts'
import { compactVm } from '../../vault/compact-vm.ts'
import type { JobDeps } from '../job-deps.ts'
import { safeMessage, stepFailure } from '../step-failure.ts'
import { eachVm } from './each-vm.ts'

/** Steps of one VM before the next has its turn; what is left waits for the next pass. */
const stepsMax = 64
/** Stored bytes that one step moves out of sparse segments, or shown bytes that it gathers from sparse frames. */
const rewriteBytesMax = 1024 ** 3

/** Keeps the stacks of all VMs short, their segments and frames full. Key: what is folded, from which a fold has its name. Where data keys are not
 * at hand, what needs them is left out and told. */
export const compactVault = (
  deps: Pick<JobDeps, 'vault' | 'control' | 'clock' | 'keys'>,
  { cursor }: MaintenanceStep,
): Promise<MaintenanceStepOutcome> =>
  eachVm(deps, cursor, async ({ vmKey }) => {
    const { folded, rewrittenBytes, leftOut } = await compactVm(deps, { vmKey, stepsMax, rewriteBytesMax })
    return { folded, rewrittenBytes, problem: leftOut === undefined ? null : problemOf(leftOut) }
  })

const problemOf = (leftOut: Error): StepProblem =>
  stepFailure(leftOut) ?? {
    reason: 'keys-unreachable',
    message: safeMessage(leftOut),
    hint: 'It is done by a later pass.',
  }
