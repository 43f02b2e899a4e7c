import { setTimeout as sleep } from 'node:timers/promises'
import type { Failed, Pending } from '../domain/job-ref.ts'
import { failureOf } from './arm-failure.ts'
import { verdictOf } from './arm-verdicts.ts'

/** What a request came to. `absent`: the resource, or one that holds it, does not exist. */
export type ArmAnswer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'absent' }
  | Pending
  | Failed

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

/** What keeps requests that were made side by side from being done, all in all: the first failure, else the longest wait; null where nothing
 * does. */
export const obstacleOf = (ends: readonly (Pending | Failed | { readonly kind: Done })[]): Pending | Failed | null => {
  const failed = ends.find((end) => end.kind === 'failed')
  if (failed !== undefined) return failed
  const waits = ends.flatMap((end) => (end.kind === 'pending' ? [end.retryAfterSeconds] : []))
  return waits.length === 0 ? null : { kind: 'pending', retryAfterSeconds: Math.max(...waits) }
}

type Done = 'ready' | 'released'

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

/** A long-running operation of the SDK, as far as it is followed here. */
export interface Followable<T> {
  readonly isDone: boolean
  readonly result: T | undefined
  poll(): Promise<unknown>
}

/** Longest time that an operation is followed, whoever still waits for it. */
const followSecondsMax = 300
const firstPauseMs = 150
const pauseMsMax = 2000

/** Asks about an operation until it ends: soon at first, as grants often take less than a second, then every two seconds. The service
 * sends no Retry-After for the operations of disks.
 * @returns `pending` where it has not ended after five minutes
 * @throws ArmError where another try may cure it */
export const followArm = async <T>(poller: Followable<T>): Promise<ArmAnswer<T | undefined>> => {
  const endsAtMs = performance.now() + followSecondsMax * 1000
  for (let pauseMs = firstPauseMs; !poller.isDone; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
    if (performance.now() > endsAtMs) return { kind: 'pending', retryAfterSeconds: 30 }
    await sleep(pauseMs)
    const asked = await askArm(() => poller.poll())
    if (asked.kind !== 'answered') return asked
  }
  // Of an operation that has ended, this sends nothing: it throws where the operation failed.
  return askArm(async () => {
    await poller.poll()
    return poller.result
  })
}
