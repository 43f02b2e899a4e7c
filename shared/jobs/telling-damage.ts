import { VaultError, type VaultFault } from '../format/vault-error.ts'
import { damageOf } from '../vault/damage-reports.ts'
import { checkSuspected } from '../vault/scrub-vm.ts'
import type { JobDeps } from './job-deps.ts'

/** How long a step may go on for the sake of the reports: it reads the indexes of all the VM's recovery points. */
const reportMsMax = 10 * 60_000

/** Runs a step that reads the vault. Where it finds stored bytes damaged, the object is checked at once and reported, so that people are told of it and
 * the next backup stores it again, not only after the next pass over the vault. What the step threw is thrown on in any case.
 * Key: VM and object. */
export const tellingDamage = async <Outcome>(
  deps: Pick<JobDeps, 'clock' | 'control' | 'vault'>,
  vmKey: string,
  step: () => Promise<Outcome>,
): Promise<Outcome> => {
  try {
    return await step()
  } catch (error) {
    if (error instanceof VaultError && isOfStoredBytes(error.fault)) await report(deps, vmKey, error.fault.name)
    throw error
  }
}

/** Where it cannot be reported now, the pass over the vault finds it. */
const report = (deps: Pick<JobDeps, 'clock' | 'control' | 'vault'>, vmKey: string, name: string): Promise<void> =>
  checkNow(deps, vmKey, new Set([name]))

/** Judges reports of the VM again that call a whole disk lost, which may have been for an index that is whole again: else they would say so until the next
 * pass. Where that fails, the next pass does it. Repeatable. */
export const judgeAgain = async (deps: Pick<JobDeps, 'clock' | 'control' | 'vault'>, vmKey: string): Promise<void> => {
  const reports = await damageOf(deps.control, vmKey)
  const names = reports.filter(({ touches }) => touches.some(({ ranges }) => ranges === null)).map(({ name }) => name)
  if (names.length > 0) await checkNow(deps, vmKey, new Set(names))
}

const checkNow = async (
  deps: Pick<JobDeps, 'clock' | 'control' | 'vault'>,
  vmKey: string,
  names: ReadonlySet<string>,
): Promise<void> => {
  const signal = AbortSignal.timeout(reportMsMax)
  await checkSuspected(deps, { vmKey, names }, { signal }).catch(() => undefined)
}

/** False where the bytes are whole: the release, or the keys of the settings, do not fit them. */
const isOfStoredBytes = ({ code }: VaultFault): boolean =>
  code === 'object-missing' ||
  code === 'short' ||
  code === 'malformed' ||
  code === 'digest-mismatch' ||
  code === 'wrong-birth' ||
  code === 'key-missing'
