import { setTimeout as sleep } from 'node:timers/promises'
import type { ComputeManagementClient } from '@azure/arm-compute'

type Policy = Parameters<ComputeManagementClient['pipeline']['addPolicy']>[0]
type Request = Parameters<Policy['sendRequest']>[0]
type Send = Parameters<Policy['sendRequest']>[1]
type Response = Awaited<ReturnType<Send>>

/** Two quick repeats cover a lost connection or a restarting front end; what lasts longer goes back to the caller, whose durable timer
 * holds no activity. */
const pausesMs = [500, 2000]
const tryMilliseconds = 30_000
/** A wait that the service asks for is kept inside the call only up to here. */
const retryAfterSecondsMax = 3

/** Repeats requests that met a dead connection or a server fault. Every request of ours may be sent twice: names are
 * deterministic, and granting or revoking access again changes nothing. 429 is never repeated here. */
export const armTriesPolicy: Policy = {
  name: 'armTriesPolicy',
  sendRequest: async (request, next) => {
    for (let number = 0; ; number++) {
      const pauseMs = pausesMs[number]
      const answer = await sendOnce(request, next)
      if (pauseMs === undefined || !isWorthRepeating(answer)) return answerOrThrow(answer)
      await sleep(Math.max(pauseMs, retryAfterMs(answer) ?? 0))
      if (request.abortSignal?.aborted) return answerOrThrow(answer)
    }
  },
}

type Answer = { readonly response: Response } | { readonly error: unknown; readonly timedOut: boolean }

const sendOnce = async (request: Request, next: Send): Promise<Answer> => {
  request.timeout = tryMilliseconds
  const startedAt = performance.now()
  try {
    return { response: await next(request) }
  } catch (error) {
    // The client reports its own timeout as an abort.
    const timedOut = !request.abortSignal?.aborted && performance.now() - startedAt >= tryMilliseconds
    return { error, timedOut }
  }
}

const isWorthRepeating = (answer: Answer): boolean => {
  if ('error' in answer)
    return (
      answer.timedOut ||
      (answer.error as { code?: unknown }).code === 'REQUEST_SEND_ERROR' ||
      isSocketError(answer.error)
    )
  const { status } = answer.response
  if (![408, 500, 502, 503, 504].includes(status)) return false
  return (retryAfterMs(answer) ?? 0) <= retryAfterSecondsMax * 1000
}

const isSocketError = (error: unknown): boolean =>
  /^(ECONN|ETIMEDOUT|EPIPE|EAI_AGAIN|ENOTFOUND)/.test(String((error as { code?: unknown }).code ?? ''))

const retryAfterMs = (answer: Answer): number | null => {
  if ('error' in answer) return null
  const seconds = Number(answer.response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) ? seconds * 1000 : null
}

const answerOrThrow = (answer: Answer): Response => {
  if ('response' in answer) return answer.response
  throw answer.error
}
