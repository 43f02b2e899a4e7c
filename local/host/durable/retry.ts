import type { RetryOptions } from './actions.ts'

/** The wait before another attempt, in milliseconds: DurableTask.Core's RetryInterceptor, exponential and capped.
 * @param failures how many attempts have failed, at least 1
 * @returns 0 after the last attempt: the engine then makes a timer that fires at once, and the library waits for it */
export function retryDelayMs(options: RetryOptions, failures: number): number {
  if (failures >= options.maxNumberOfAttempts) return 0
  const delayMs = options.firstRetryIntervalInMilliseconds * (options.backoffCoefficient ?? 1) ** (failures - 1)
  return Math.min(delayMs, options.maxRetryIntervalInMilliseconds ?? Number.POSITIVE_INFINITY, delayMsMax)
}

/** DurableTask caps a retry delay at int.MaxValue days; six days is where timers stop being plain ones. */
const delayMsMax = 6 * 24 * 60 * 60 * 1000
