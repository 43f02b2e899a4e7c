import type { Pending, Refused } from '../ports/compute.ts'
import { failureOf } from './arm-failure.ts'
import { verdictOf } from './arm-verdicts.ts'

/** What a request came to. `absent`: the resource, or one that holds it, does not exist. */
export type ArmAnswer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'absent' }
  | Pending
  | Refused

/** Sends one request and sorts what comes back by what the caller must decide.
 * @throws ArmError where another try may cure it */
export const askArm = async <T>(ask: () => Promise<T>): Promise<ArmAnswer<T>> => {
  try {
    return { kind: 'answered', value: await ask() }
  } catch (error) {
    const failure = failureOf(error)
    if (failure.status === 404) return { kind: 'absent' }
    return verdictOf(failure)
  }
}

/** Begins a long-running operation: sends its first request and does not poll. A poller is a thenable that polls to its end when
 * awaited, so it is never handed on bare.
 * @throws ArmError where another try may cure it */
export const beginArm = async <P extends { submitted: () => Promise<void> }>(
  begin: () => P,
): Promise<ArmAnswer<{ readonly poller: P }>> =>
  askArm(async () => {
    const poller = begin()
    await poller.submitted()
    return { poller }
  })
