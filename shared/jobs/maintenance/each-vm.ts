import {
  type MaintenanceCounts,
  nothingMaintained,
  objectsMax,
  plusCounts,
  type StepProblem,
} from '../../domain/maintenance.ts'
import { VaultError } from '../../format/vault-error.ts'
import { type ListedVm, listVms } from '../../vault/list-vm-keys.ts'
import type { JobDeps } from '../job-deps.ts'
import { stepFailure } from '../step-failure.ts'

/** How long one step works before it hands over to the next: a function may be ended at any time, and what it did is kept. */
export const stepMilliseconds = 3 * 60_000

/** Problems that one step tells one by one. */
const problemsMax = 3

/** As a step's outcome. */
export type VmsDone = (
  | { readonly kind: 'done' }
  /** `cursor`: the last VM that it was done for. */
  | { readonly kind: 'more'; readonly cursor: string }
) & { readonly counts: MaintenanceCounts; readonly problems: readonly StepProblem[] }

/** Does something for one VM of the vault after another, in the order in which they are listed, until the step's time is up. What fails for one VM is
 * told and does not keep it from the others.
 * @param after the last VM of the step before; null at the stage's start
 * @param work counts of what was done, and what was left out */
export const eachVm = async (
  deps: Pick<JobDeps, 'vault' | 'clock'>,
  after: string | null,
  work: (vm: ListedVm) => Promise<Partial<MaintenanceCounts> & { readonly problem?: StepProblem | null }>,
): Promise<VmsDone> => {
  const beganAt = deps.clock.now().getTime()
  const told: StepProblem[] = []
  const others: StepProblem[] = []
  let counts = nothingMaintained
  const tell = (vmKey: string, problem: StepProblem): void => {
    if (told.length < problemsMax) told.push({ ...problem, message: `${vmKey}: ${problem.message}` })
    else others.push(problem)
  }
  for await (const vm of listVms(deps.vault, after)) {
    const { vmKey } = vm
    try {
      const { problem = null, ...done } = await work(vm)
      counts = plusCounts(counts, done)
      if (problem !== null) tell(vmKey, problem)
    } catch (error) {
      const failure = stepFailure(error)
      if (failure === null) throw error
      tell(vmKey, { ...failure, ...objectsOf(error) })
    }
    if (deps.clock.now().getTime() - beganAt > stepMilliseconds)
      return { kind: 'more', cursor: vmKey, counts, problems: [...told, ...together(others)] }
  }
  return { kind: 'done', counts, problems: [...told, ...together(others)] }
}

/** As one problem, which is none once all that is damaged is mended, if nothing but damage is the cause. */
const together = (others: readonly StepProblem[]): readonly StepProblem[] => {
  if (others.length === 0) return []
  const names = new Set(others.flatMap(({ objects = [] }) => objects))
  const isDamageAlone = others.every(({ objects }) => objects !== undefined) && names.size <= objectsMax
  return [
    {
      reason: 'more-problems',
      message: `${others.length === 1 ? '1 more VM has a problem that is' : `${others.length} more VMs have problems that are`} not told one by one.`,
      hint: 'Cure those that are told: the next pass tells what is left.',
      ...(isDamageAlone ? { objects: [...names] } : {}),
    },
  ]
}

/** The damaged object that stopped it, if it was one. */
const objectsOf = (error: unknown): Pick<StepProblem, 'objects'> =>
  error instanceof VaultError && 'name' in error.fault ? { objects: [error.fault.name] } : {}
