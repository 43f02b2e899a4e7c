import { markVm } from '../../vault/mark-vm.ts'
import type { JobDeps } from '../job-deps.ts'
import { eachVm, type VmsDone } from './each-vm.ts'

/** Brings the marks of all VMs up to date, so that a collection reads no record that was read before. Key: the VM.
 * @param after the last VM of the step before; null at the beginning */
export const markVault = (deps: Pick<JobDeps, 'vault' | 'control' | 'clock'>, after: string | null): Promise<VmsDone> =>
  eachVm(deps, after, async (vm) => {
    await markVm(deps, vm)
    return {}
  })
