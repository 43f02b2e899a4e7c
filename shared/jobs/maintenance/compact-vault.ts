import type { MaintenanceStep, MaintenanceStepOutcome } from '../../domain/maintenance.ts'
import { compactVm } from '../../vault/compact-vm.ts'
import type { JobDeps } from '../job-deps.ts'
import { eachVm } from './each-vm.ts'

/** Steps of one VM before the next has its turn; what is left waits for the next pass. */
const stepsMax = 64
/** Stored bytes that one step moves out of sparse segments. */
const rewriteBytesMax = 1024 ** 3

/** Keeps the stacks of all VMs short and their segments full. Key: what is folded, from which a fold has its name. */
export const compactVault = (
  deps: Pick<JobDeps, 'vault' | 'control' | 'clock'>,
  { cursor }: MaintenanceStep,
): Promise<MaintenanceStepOutcome> =>
  eachVm(deps, cursor, async (vmKey) => {
    const { folded, rewrittenBytes } = await compactVm(deps, { vmKey, stepsMax, rewriteBytesMax })
    return { folded, rewrittenBytes }
  })
