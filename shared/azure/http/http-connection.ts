import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onAbort } from './abort-listeners.ts'
import { type AnswerHead, UnreadableAnswer } from './answer-head.ts'
import { type AnswerParser, type AnswerTaker, createAnswerParser } from './answer-parser.ts'

/** One request. Everything in it may be secret. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  readonly url: URL
  readonly headers: Readonly<Record<string, string | number>>
  /** Sent one after another; their length must be among the headers. */
  readonly body?: readonly Uint8Array[]
  /** The connection may stay silent so long. */
  readonly idleMsMax: number
  /** The whole exchange may take so long, however busy it is. */
  readonly totalMsMax: number
}

/** Why an exchange ended without its answer. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  /** A code of the network layer or a few words; never an address. */
  readonly detail: string
  /** Bytes of the answer's body that had come. */
  readonly bodyBytes: number
  /** Nothing of an answer had come. */
  readonly isUnanswered: boolean
  constructor(detail: string, parser: Pick<AnswerParser, 'bodyBytes' | 'head'>) {
    super(`A request ended without its answer: ${detail}.`)
    this.detail = detail
    this.bodyBytes = parser.bodyBytes
    this.isUnanswered = parser.head === null
  }
}

/** A connection to one host; one exchange at a time. */
export interface HttpConnection {
  /** Resolves when the answer is complete and its body is where the taker wanted it.
   * @throws HttpFailure, what the taker threw, or the signal's reason */
  exchange(request: HttpRequest, takerOf: AnswerTaker, signal: AbortSignal | undefined): Promise<AnswerHead>
  /** Fit for another request. */
  readonly isOpen: boolean
  /** Called once, when it is closed for whatever reason. */
  onClose: () => void
  close(): void
}

/** What has to be in one piece in a buffer of the socket's own: a head, the content of a small read. Larger contents go straight to where
 * they belong. */
const ownBufferBytes = 16 * 1024
/** A body handed to TLS in one piece is encrypted whole into memory; in pieces of this size it is not. */
const tlsPieceBytes = 256 * 1024
/** Without TLS a body goes out from where it lies, and each piece waits for a turn of its own. */
const plainPieceBytes = 2 * 1024 * 1024
/** A connection nobody used for so long is closed; the services do so after some minutes. */
const idleMsMax = 60_000

interface Exchange {
  readonly parser: AnswerParser
  readonly endsAtMs: number
  /** Set while the body of the request is still being sent. */
  isSending: boolean
  readonly resolve: (head: AnswerHead) => void
  readonly reject: (error: unknown) => void
}

/** Opens a connection; what goes wrong with that shows in the first exchange.
 * @param session of an earlier TLS connection to the same host, which saves most of the handshake
 * @param keepSession told of the session that the next connection may use */
export const openConnection = (
  origin: URL,
  session: Buffer | undefined,
  keepSession: (session: Buffer) => void,
): HttpConnection => {
  const own = Buffer.allocUnsafeSlow(ownBufferBytes)
  let current: Exchange | null = null
  let isOpen = true

  const end = (error: unknown): void => {
    const ended = current
    current = null
    if (isOpen) {
      isOpen = false
      socket.destroy()
      connection.onClose()
    }
    if (ended === null) return
    ended.reject(error instanceof UnreadableAnswer ? new HttpFailure('unreadable answer', ended.parser) : error)
  }
  const fail = (detail: string): void => end(current === null ? null : new HttpFailure(detail, current.parser))
  const complete = (exchange: Exchange, head: AnswerHead): void => {
    current = null
    // An answer that came before the whole request was sent leaves the rest of it in the way.
    if (!head.isKept || exchange.isSending) connection.close()
    else rest(socket)
    exchange.resolve(head)
  }
  const received = (count: number, buffer: Uint8Array): boolean => {
    const exchange = current
    if (exchange === null) {
      // Nobody asked for anything.
      end(null)
      return false
    }
    try {
      const { parser } = exchange
      const isDone = buffer === own ? parser.push(own.subarray(0, count)) : parser.filled(count)
      if (isDone && parser.head !== null) complete(exchange, parser.head)
      else if (performance.now() > exchange.endsAtMs) fail('ETIMEDOUT')
    } catch (error) {
      end(error)
    }
    return isOpen
  }
  const onread = { buffer: () => current?.parser.direct() ?? own, callback: received }
  const socket = openSocket(origin, session, onread)
  if ('getSession' in socket) (socket as Socket).on('session', keepSession)
  socket.on('error', (error: NodeJS.ErrnoException) => fail(codeOf(error)))
  socket.on('end', () => fail('connection lost'))
  socket.on('close', () => fail('connection lost'))
  socket.on('timeout', () => fail('ETIMEDOUT'))

  const connection: HttpConnection = {
    get isOpen() {
      return isOpen
    },
    onClose: () => undefined,
    close: () => fail('closed'),
    exchange: async (request, takerOf, signal) => {
      signal?.throwIfAborted()
      const head = headOf(request)
      const parser = createAnswerParser(request.method === 'HEAD', takerOf)
      const forget = signal === undefined ? null : onAbort(signal, () => end(signal.reason))
      try {
        return await new Promise<AnswerHead>((resolve, reject) => {
          const endsAtMs = performance.now() + request.totalMsMax
          const exchange = { parser, endsAtMs, isSending: request.body !== undefined, resolve, reject }
          current = exchange
          if (!isOpen) return fail('connection lost')
          socket.ref()
          socket.setTimeout(request.idleMsMax)
          const isWanted = () => current === exchange && parser.head === null
          void send(socket, head, request.body, isWanted).then((isSent) => {
            exchange.isSending = !isSent
          })
        })
      } finally {
        forget?.()
      }
    },
  }
  return connection
}

/** A socket that waits for its next use does not keep the process alive. */
const rest = (socket: Socket): void => {
  socket.setTimeout(idleMsMax)
  socket.unref()
}

const openSocket = (
  origin: URL,
  session: Buffer | undefined,
  onread: { readonly buffer: () => Uint8Array; readonly callback: (count: number, buffer: Uint8Array) => boolean },
): Socket => {
  const host = origin.hostname.replace(/^\[|\]$/g, '')
  const isTls = origin.protocol === 'https:'
  const port = Number(origin.port || (isTls ? 443 : 80))
  const options = { host, port, noDelay: true, onread }
  if (!isTls) return connectPlain(options)
  const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
  return connectTls({ ...options, ...name, ALPNProtocols: ['http/1.1'], ...(session === undefined ? {} : { session }) })
}

/** Never rejects: what goes wrong with a socket shows in its events.
 * @param isWanted asked between two pieces: whether the rest still has to be sent
 * @returns whether all of it was sent */
const send = async (
  socket: Socket,
  head: string,
  body: readonly Uint8Array[] | undefined,
  isWanted: () => boolean,
): Promise<boolean> => {
  if (body === undefined) {
    socket.write(head, 'latin1')
    return true
  }
  // The head goes out with the first piece, and at once: whoever sends may keep the thread busy for a while.
  socket.cork()
  socket.write(head, 'latin1')
  const pieceBytes = 'encrypted' in socket ? tlsPieceBytes : plainPieceBytes
  for (const part of body)
    for (let at = 0; at < part.length; at += pieceBytes) {
      const isTaken = socket.write(part.subarray(at, at + pieceBytes))
      socket.uncork()
      if (!isTaken) await drained(socket)
      if (!isWanted()) return false
    }
  socket.uncork()
  return true
}

/** Until the socket takes more, gets an answer, or goes. */
const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const settle = () => {
      socket.off('drain', settle)
      socket.off('close', settle)
      resolve()
    }
    socket.on('drain', settle)
    socket.on('close', settle)
  })

/** The addresses of disks are asked thousands of times. */
const places = new WeakMap<URL, string>()

/** What follows the method, up to the end of the host's line. */
const placeOf = (url: URL): string => {
  const known = places.get(url)
  if (known !== undefined) return known
  const place = `${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`
  places.set(url, place)
  return place
}

/** @throws HttpFailure for what cannot be sent; it is not shown */
const headOf = ({ method, url, headers }: HttpRequest): string => {
  let head = `${method} ${placeOf(url)}`
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`
  head += '\r\n'
  if (!/^(?:[\x20-\x7e]+\r\n)+\r\n$/.test(head)) throw new HttpFailure('unusable header', { bodyBytes: 0, head: null })
  return head
}

const codeOf = (error: NodeJS.ErrnoException): string =>
  typeof error.code === 'string' && /^[A-Z_0-9]+$/.test(error.code) ? error.code : 'connection lost'
