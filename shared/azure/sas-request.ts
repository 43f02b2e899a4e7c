import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { SourceError } from '../ports/disk-reader.ts'

/** Enough to keep a transfer busy; the caller's window of reads is the real limit. */
const socketsMaxDefault = 16
/** A body handed to TLS in one piece is encrypted whole into memory; in pieces of this size it is not. */
const writePieceBytes = 256 * 1024

/** Keep-alive connections to the hosts of SAS URLs, bounded per host. */
export interface SasSockets {
  readonly plain: PlainAgent
  readonly tls: TlsAgent
  close(): void
}

/** @param socketsMax connections to one host; further requests wait for one */
export const createSasSockets = (socketsMax = socketsMaxDefault): SasSockets => {
  const options = { keepAlive: true, maxSockets: socketsMax, maxFreeSockets: socketsMax, scheduling: 'lifo' as const }
  const [plain, tls] = [new PlainAgent(options), new TlsAgent(options)]
  return {
    plain,
    tls,
    close() {
      plain.destroy()
      tls.destroy()
    },
  }
}

export interface SasCall {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  /** A secret, whole: query and signature included. */
  readonly url: string
  readonly headers: Readonly<Record<string, string | number>>
  readonly body?: Uint8Array
  /** The connection may stay silent so long. */
  readonly idleMsMax: number
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

export class AttemptError extends Error {
  override readonly name = 'AttemptError'
  readonly failure: AttemptFailure
  constructor(failure: AttemptFailure) {
    super(`A request to a disk failed: ${failure.kind}.`)
    this.failure = failure
  }
}

/** Sends one request and hands a successful answer to `consume`, which must take the body to its end.
 * @throws AttemptError for everything that went wrong on the way, the signal's reason when aborted */
export const sendOnce = async <T>(
  sockets: SasSockets,
  call: SasCall,
  consume: (response: IncomingMessage) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> => {
  signal?.throwIfAborted()
  const sent = openRequest(sockets, call)
  const abort = () => sent.destroy()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const answered = answerOf(sent)
    // Awaited below, after the body: a failure on the way must not count as unhandled until then.
    answered.catch(() => undefined)
    const isSent = call.body === undefined ? sendNothing(sent) : await sendBody(sent, call.body)
    const response = await answered
    // Refused before the body was there: the connection is of no more use, and what it answered is all there is to know.
    if (!isSent) sent.destroy()
    if ((response.statusCode ?? 0) >= 300) throw refusalOf(response)
    return await consume(response)
  } catch (error) {
    const isRefusal = error instanceof AttemptError && error.failure.kind === 'status'
    // A body that nobody reads to its end would keep its connection; that of a refusal is being drained.
    if (!isRefusal) sent.destroy()
    signal?.throwIfAborted()
    throw error instanceof AttemptError || error instanceof SourceError ? error : networkError(error)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** Takes a body into `target`, which it must fill exactly.
 * @param count told of every piece that arrives */
export const fillFrom = async (
  response: IncomingMessage,
  target: Uint8Array,
  count: (bytes: number) => void,
): Promise<void> => {
  let filled = 0
  const short = () => new AttemptError({ kind: 'short', expectedBytes: target.byteLength, actualBytes: filled })
  // Cut off before anybody listened: no event will come.
  if (response.destroyed) throw short()
  await new Promise<void>((resolve, reject) => {
    response.on('data', (piece: Buffer) => {
      count(piece.byteLength)
      if (filled + piece.byteLength > target.byteLength) {
        filled += piece.byteLength
        reject(short())
        return
      }
      target.set(piece, filled)
      filled += piece.byteLength
    })
    const cutOff = () => reject(short())
    response.once('error', cutOff)
    response.once('close', cutOff)
    response.once('end', () => {
      response.off('close', cutOff)
      if (filled === target.byteLength) resolve()
      else cutOff()
    })
  })
}

/** The error of a body that ended before its end: a cut connection, whatever the layer below calls it. */
const networkError = (error: unknown): AttemptError => {
  const code = (error as NodeJS.ErrnoException | null)?.code
  return new AttemptError({
    kind: 'network',
    detail: typeof code === 'string' && /^[A-Z_0-9]+$/.test(code) ? code : 'connection lost',
  })
}

const openRequest = (sockets: SasSockets, call: SasCall): ClientRequest => {
  const { method, headers } = call
  const isTls = call.url.startsWith('https:')
  const sent = isTls
    ? tlsRequest(call.url, { method, headers, agent: sockets.tls })
    : plainRequest(call.url, { method, headers, agent: sockets.plain })
  sent.setTimeout(call.idleMsMax, () => sent.destroy(Object.assign(new Error('silent'), { code: 'ETIMEDOUT' })))
  // Errors that come when nobody waits any more (a reset after the answer) must not end the process.
  sent.on('error', () => undefined)
  return sent
}

const answerOf = (sent: ClientRequest): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    sent.once('response', resolve)
    sent.once('error', reject)
  })

const sendNothing = (sent: ClientRequest): true => {
  sent.end()
  return true
}

/** Sends the body in pieces. An answer that comes before its end stops it: Node tells no more when the socket takes more.
 * @returns whether all of it was sent */
const sendBody = async (sent: ClientRequest, body: Uint8Array): Promise<boolean> => {
  let isAnswered = false
  sent.once('response', () => {
    isAnswered = true
  })
  for (let at = 0; at < body.byteLength; at += writePieceBytes) {
    const isTaken = sent.write(body.subarray(at, at + writePieceBytes))
    if (!isTaken) await drained(sent)
    if (isAnswered || sent.destroyed) return false
  }
  sent.end()
  return true
}

/** Until the socket takes more; also when the answer came early, or the connection went. */
const drained = async (sent: ClientRequest): Promise<void> => {
  const settled = new AbortController()
  const events = ['drain', 'response', 'close'].map((name) => once(sent, name, { signal: settled.signal }))
  await Promise.race(events.map((event) => event.catch(() => undefined)))
  settled.abort()
}

const refusalOf = (response: IncomingMessage): AttemptError => {
  response.on('error', () => undefined)
  response.resume()
  const code = response.headers['x-ms-error-code']
  return new AttemptError({
    kind: 'status',
    status: response.statusCode ?? 0,
    serviceCode: typeof code === 'string' && /^\w{1,80}$/.test(code) ? code : 'unknown',
    retryAfterSeconds: secondsOf(response.headers['retry-after']),
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
