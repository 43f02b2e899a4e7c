import { SourceError } from '../ports/disk-reader.ts'
import type { AnswerHead } from './http/answer-head.ts'
import type { AnswerTaker } from './http/answer-parser.ts'
import { type ConnectionPool, createConnectionPool } from './http/connection-pool.ts'
import { HttpFailure } from './http/http-connection.ts'

/** Small scattered reads wait for the network, not for bytes: with 10 ms of latency, 6 connections take ten times as long as 96. Large
 * reads never need as many, as the memory for them is bounded. */
const socketsMaxDefault = 96

/** Keep-alive connections to the hosts of SAS URLs, bounded per host. */
export type SasSockets = ConnectionPool

/** @param socketsMax connections to one host; further requests wait for one */
export const createSasSockets = (socketsMax = socketsMaxDefault): SasSockets => createConnectionPool(socketsMax)

/** One request to a SAS URL, as it is sent at each try. */
export interface SasCall {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  /** A secret, whole: query and signature included. */
  readonly url: string | URL
  readonly headers: Readonly<Record<string, string | number>>
  readonly body?: Uint8Array
  /** The connection may stay silent so long. */
  readonly idleMsMax: number
  /** Told after each try how many bytes came of a body that was wanted. */
  readonly onReceived?: (bytes: number) => void
  /** Looks at a successful answer when all of it is there; an AttemptError that it throws makes for another try. */
  readonly onComplete?: () => void
}

/** Why one try failed. `detail` is a code of the network layer, never a message: messages may hold addresses. */
export type AttemptFailure =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly serviceCode: string
      readonly retryAfterSeconds: number | null
    }
  | { readonly kind: 'network'; readonly detail: string }
  | { readonly kind: 'short'; readonly expectedBytes: number; readonly actualBytes: number }

/** One try of a request that failed; whether there is another is for the caller to say. The URL, a secret, is not in it. */
export class AttemptError extends Error {
  override readonly name = 'AttemptError'
  readonly failure: AttemptFailure
  constructor(failure: AttemptFailure) {
    super(`A request to a disk failed: ${failure.kind}.`)
    this.failure = failure
  }
}

/** An answer that trickles in is given up after so many times the silence that would end it. */
const totalPerIdle = 5

/** Sends one request. `takerOf` gets the head of a successful answer only, and says what becomes of its body.
 * @throws AttemptError for everything that went wrong on the way, what the taker threw, the signal's reason when aborted */
export const sendOnce = async (
  sockets: SasSockets,
  call: SasCall,
  takerOf: AnswerTaker,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const { method, headers, idleMsMax } = call
  const body = call.body === undefined ? {} : { body: [call.body] }
  const request = {
    method,
    url: typeof call.url === 'string' ? new URL(call.url) : call.url,
    headers,
    idleMsMax,
    totalMsMax: totalPerIdle * idleMsMax,
    ...body,
  }
  let expectedBytes: number | null = null
  const refusal = createRefusalText()
  const chosen: AnswerTaker = (head) => {
    if (head.status >= 300) return refusal.take
    const taker = takerOf(head)
    if (typeof taker === 'function') return taker
    expectedBytes = taker.byteLength
    const { framing } = head
    if (framing.kind === 'length' && framing.lengthBytes !== expectedBytes)
      throw new AttemptError({ kind: 'short', expectedBytes, actualBytes: framing.lengthBytes })
    return taker
  }
  const head = await sockets.exchange(request, chosen, signal).catch((error: unknown) => {
    signal?.throwIfAborted()
    if (!(error instanceof HttpFailure)) throw error
    if (expectedBytes === null) throw new AttemptError({ kind: 'network', detail: error.detail })
    call.onReceived?.(error.bodyBytes)
    throw new AttemptError({ kind: 'short', expectedBytes, actualBytes: error.bodyBytes })
  })
  if (expectedBytes !== null) call.onReceived?.(expectedBytes)
  if (head.status >= 300) throw refusalOf(head, refusal.text())
  call.onComplete?.()
}

/** An error document is some hundred bytes; more of it than this is not looked at. */
const refusalBytesMax = 4096

const createRefusalText = () => {
  let text = ''
  return {
    take: (piece: Buffer): void => {
      if (text.length < refusalBytesMax) text += piece.toString('latin1')
    },
    text: () => text,
  }
}

const refusalOf = ({ status, headers }: AnswerHead, text: string): AttemptError => {
  const code = headers.get('x-ms-error-code') ?? /<Code>(\w+)<\/Code>/.exec(text)?.[1]
  return new AttemptError({
    kind: 'status',
    status,
    serviceCode: code !== undefined && /^\w{1,80}$/.test(code) ? code : 'unknown',
    retryAfterSeconds: secondsOf(headers.get('retry-after')),
  })
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
const secondsOf = (text: string | undefined): number | null => {
  if (text === undefined) return null
  const seconds = /^\d+$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - Date.now()) / 1000)
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null
}

/** @throws SourceError for what is no URL; the error of the URL parser would show it */
export const checkedSasUrl = (sasUrl: string): string => {
  if (URL.canParse(sasUrl) && /^https?:\/\/[^?#]+\?[^#\s]+$/.test(sasUrl)) return sasUrl
  throw new SourceError({ code: 'rejected', status: 0, serviceCode: 'InvalidSasUrl' })
}
