/**
 * What the real engine hangs on or corrupts, refused at once. Each text names the rule and the fix, because it is all that
 * the author of an orchestrator sees: it becomes the output of the failed instance.
 */

/** @param name the activity or orchestrator that the app did not register */
export const unknownFunction = (kind: 'activity' | 'orchestrator', name: string): string =>
  `Refused: no ${kind} named '${name}' is registered. On Azure this instance would stay Running for ever without an error. ` +
  `Take names from one list of constants and register each of them.`

export const ownIdAsChild = (instanceId: string): string =>
  `Refused: a sub-orchestration was given the id of its own parent ('${instanceId}'). On Azure this instance would stay ` +
  `Running for ever. Derive the id of a child from its parent's, for example '${instanceId}:child'.`

export const childIdInUse = (instanceId: string, status: string): string =>
  `Refused: a sub-orchestration was given the id '${instanceId}', whose instance is ${status}. On Azure it would silently ` +
  `replace that instance. Give each child an id of its own, made from its parent's id.`

export const taskInTwoCompounds = (name: string): string =>
  `Refused: a task ('${name}') was put into a second Task.all or Task.any. On Azure it would be scheduled again and later ` +
  `calls would get the results of other ones. Yield the same Task.all object again, or yield the left-over task directly.`

export const caughtWhileRetrying = (name: string): string =>
  `Refused: a failed Task.all was caught and more was scheduled while '${name}' may still be retried. On Azure the retry and ` +
  `the next call get the same number and results are lost. Give each item a sub-orchestration that does its own retries and ` +
  `returns its outcome.`

export const retryTimeout = (name: string): string =>
  `Refused: retryTimeoutInMilliseconds is set for '${name}'. On Azure the orchestrator would wait for ever once it has ` +
  `expired. Leave it out and limit maxNumberOfAttempts.`

export const nonRetriableWithRetry = (name: string): string =>
  `Refused: '${name}' failed with non-retriable failure details under a retry policy. On Azure the orchestrator would wait ` +
  `for ever. Return permanent failures as values and throw only what a retry may cure.`

export const neverContinues =
  'Refused: the orchestrator neither finished nor waits for anything that can still come, as after `throw undefined`. On ' +
  'Azure this instance would stay Running for ever. Throw Error objects, and yield every task that is waited for.'

/** @param longestMs longest timer that is one timer (maximumShortTimerDuration) */
export const longTimerInCompound = (longestMs: number): string =>
  `Refused: a timer longer than ${longestMs / 86_400_000} days inside Task.any or Task.all. On Azure, cancelled after its first ` +
  `part, it fails the instance as non-deterministic. Keep timers shorter and make the next one when one has fired.`

export const unsupported = (feature: string): string =>
  `Refused: the local host does not implement ${feature}. Run this app with the Azure Functions Core Tools, or do without.`
