import { setTimeout as delay } from 'node:timers/promises'
import { SourceError, type SourceFault } from '../ports/disk-reader.ts'
import type { AnswerTaker } from './http/answer-parser.ts'
import { AttemptError, type AttemptFailure, type SasCall, type SasSockets, sendOnce } from './sas-request.ts'

/** How long one call tries before it gives the matter to its caller, who has durable timers. */
export interface RetryLimits {
  readonly attemptsMax: number
  /** Waiting between tries, in all. A longer wait that the service asks for is not begun. */
  readonly waitMsMax: number
  /** No try begins later than this after the first. A listing may be silent for minutes; six such tries would outlast the function that
   * waits for them, and the host then ends its worker with all that runs in it. */
  readonly elapsedMsMax: number
  readonly firstDelayMs: number
  readonly delayMsMax: number
}

/** The last try begins within eight minutes of the first, of which no more than one is spent waiting between tries. */
export const retryLimitsDefault: RetryLimits = {
  attemptsMax: 6,
  waitMsMax: 60_000,
  elapsedMsMax: 480_000,
  firstDelayMs: 200,
  delayMsMax: 15_000,
}

/** What a reader or writer of SAS URLs works with. */
export interface SasDependencies {
  readonly sockets: SasSockets
  readonly limits: RetryLimits
  /** Between 0 and 1, for jitter. */
  readonly random: () => number
}

/** Sends a request, again where another try may help: 408, 429, 5xx, lost or silent connections, short bodies. Between tries it waits
 * twice as long each time, at a random point of the second half of that span, or as long as Retry-After says.
 * @param takerOf asked for each try that is answered: whatever an earlier try brought must be forgotten then
 * @param isDiff a refusal of this call that is none of the access means that there is no diff
 * @throws SourceError when the budget is spent or no try will help; the signal's reason when aborted */
export const sendWithRetry = async (
  deps: SasDependencies,
  call: SasCall,
  takerOf: AnswerTaker,
  options: { readonly signal?: AbortSignal | undefined; readonly isDiff?: boolean } = {},
): Promise<void> => {
  const startedAtMs = performance.now()
  let waitedMs = 0
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await sendOnce(deps.sockets, call, takerOf, options.signal)
    } catch (error) {
      if (!(error instanceof AttemptError)) throw error
      const waitMs = waitBefore(attempt, error.failure, deps)
      if (waitMs === null || isSpent(deps.limits, attempt, waitedMs + waitMs, performance.now() - startedAtMs)) {
        throw new SourceError(faultOf(error.failure, options.isDiff === true))
      }
      waitedMs += waitMs
      await delay(waitMs, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(() =>
        options.signal?.throwIfAborted(),
      )
    }
  }
}

const isSpent = (limits: RetryLimits, attempts: number, waitedMs: number, elapsedMs: number): boolean =>
  attempts >= limits.attemptsMax || waitedMs > limits.waitMsMax || elapsedMs > limits.elapsedMsMax

/** Milliseconds to wait before the next try; null: no try will help. */
const waitBefore = (attempt: number, failure: AttemptFailure, { limits, random }: SasDependencies): number | null => {
  if (failure.kind === 'status' && !isPassing(failure.status)) return null
  const span = Math.min(limits.delayMsMax, limits.firstDelayMs * 2 ** (attempt - 1))
  const jittered = span / 2 + (random() * span) / 2
  const asked = failure.kind === 'status' ? (failure.retryAfterSeconds ?? 0) * 1000 : 0
  return Math.max(asked, jittered)
}

const isPassing = (status: number): boolean => status === 408 || status === 429 || status >= 500

/** Seconds to stay away where the service throttles without saying how long. */
const retryAfterSecondsDefault = 30

const faultOf = (failure: AttemptFailure, isDiff: boolean): SourceFault => {
  switch (failure.kind) {
    case 'network':
      return { code: 'unreachable', detail: failure.detail }
    case 'short':
      return { code: 'short-body', expectedBytes: failure.expectedBytes, actualBytes: failure.actualBytes }
    case 'status':
      return statusFault(failure.status, failure.serviceCode, failure.retryAfterSeconds, isDiff)
    default:
      return failure satisfies never
  }
}

/** Not among them: 416, which a wrong window of ours gets. */
const refusesDiff: ReadonlySet<number> = new Set([400, 404, 409, 412])

const statusFault = (
  status: number,
  serviceCode: string,
  retryAfterSeconds: number | null,
  isDiff: boolean,
): SourceFault => {
  if (status === 403 || status === 401) return { code: 'access-ended' }
  if (status === 429 || status === 503) {
    return { code: 'throttled', retryAfterSeconds: retryAfterSeconds ?? retryAfterSecondsDefault }
  }
  if (isPassing(status)) return { code: 'unreachable', detail: `HTTP ${status}` }
  // Which code a managed disk answers is not documented. A transfer that compares nothing is always right, and shows whether the
  // refusal was for the comparison's sake.
  if (isDiff && refusesDiff.has(status)) return { code: 'diff-unsupported', serviceCode }
  if (status === 404) return { code: 'gone' }
  return { code: 'rejected', status, serviceCode }
}
