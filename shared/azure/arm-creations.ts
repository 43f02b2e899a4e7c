import type { Failed } from '../domain/job-ref.ts'
import { keepLatest } from '../domain/keep-latest.ts'
import { askArm } from './arm-answers.ts'

/** Operations that this process began, kept for the reason of a failure: a resource that has failed does not tell it, only its
 * operation does. Best effort: another process knows nothing of them. */
export interface Creations {
  remember(resourceId: string, poller: Pollable): void
  /** Asks the operation why it failed; null where it is not known here or did not fail. */
  failureOf(resourceId: string | undefined): Promise<Failed | null>
}

interface Pollable {
  poll(): Promise<unknown>
}

/** Operations of that many resources are kept, the newest; one is some hundred bytes. */
const rememberedMax = 500

/** None yet. */
export const createCreations = (): Creations => {
  const pollers = new Map<string, Pollable>()
  return {
    remember: (resourceId, poller) => {
      keepLatest(pollers, resourceId.toLowerCase(), poller, rememberedMax)
    },
    failureOf: async (resourceId) => {
      const poller = pollers.get(resourceId?.toLowerCase() ?? '')
      if (poller === undefined) return null
      const state = await askArm(() => poller.poll())
      return state.kind === 'failed' ? state : null
    },
  }
}
