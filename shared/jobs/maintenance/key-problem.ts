import type { StepProblem } from '../../domain/maintenance.ts'
import { readCurrentKey } from '../../vault/current-key.ts'
import type { JobDeps } from '../job-deps.ts'
import { safeMessage, stepFailure } from '../step-failure.ts'

/** A data key that was not at hand, as a problem of a pass. */
export const keyProblem = (error: unknown): StepProblem =>
  stepFailure(error) ?? {
    reason: 'keys-unreachable',
    message: safeMessage(error),
    hint: 'It is done by a later pass.',
  }

/** Whether the data key that new frames are stored under opens with the wrapping keys of the settings: where it does not, stored bytes are whole and
 * nobody can restore them, nor back up. May be empty; makes no key. */
export const problemsOfCurrentKey = async ({
  control,
  keys,
}: Pick<JobDeps, 'control' | 'keys'>): Promise<readonly StepProblem[]> => {
  try {
    const current = await readCurrentKey(control)
    if (current !== null) await keys.find(current.keyId)
    return []
  } catch (error) {
    return [keyProblem(error)]
  }
}
