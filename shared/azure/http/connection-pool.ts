import type { AnswerHead } from './answer-head.ts'
import type { AnswerTaker } from './answer-parser.ts'
import { type HttpConnection, HttpFailure, type HttpRequest, openConnection } from './http-connection.ts'

/** Connections kept between requests, bounded for each host. */
export interface ConnectionPool {
  /** Sends a request as soon as a connection is free. One that was kept may have been closed by the other side meanwhile: where nothing
   * at all was answered on it, the request is sent once more on a new one. So requests must be repeatable.
   * @throws HttpFailure, what the taker threw, or the signal's reason */
  exchange(request: HttpRequest, takerOf: AnswerTaker, signal: AbortSignal | undefined): Promise<AnswerHead>
  /** Ends all connections, those in use too. The pool stays usable. */
  close(): void
}

interface Host {
  readonly origin: URL
  readonly all: Set<HttpConnection>
  /** The one that was used last comes first: the others may then grow old and be closed. */
  readonly idle: HttpConnection[]
  readonly waiting: (() => void)[]
  session: Buffer | undefined
}

interface Taken {
  readonly connection: HttpConnection
  /** Used before. */
  readonly wasKept: boolean
}

/** @param connectionsMax to one host; further requests wait for one */
export const createConnectionPool = (connectionsMax: number): ConnectionPool => {
  const hosts = new Map<string, Host>()
  const hostOf = (url: URL): Host => {
    const known = hosts.get(url.origin)
    if (known !== undefined) return known
    const host: Host = { origin: new URL(url.origin), all: new Set(), idle: [], waiting: [], session: undefined }
    hosts.set(url.origin, host)
    return host
  }
  const open = (host: Host): HttpConnection => {
    const connection = openConnection(host.origin, host.session, (session) => {
      host.session = session
    })
    host.all.add(connection)
    connection.onClose = () => {
      host.all.delete(connection)
      const at = host.idle.indexOf(connection)
      if (at >= 0) host.idle.splice(at, 1)
      host.waiting.shift()?.()
    }
    return connection
  }
  const take = async (host: Host, signal: AbortSignal | undefined): Promise<Taken> => {
    for (;;) {
      signal?.throwIfAborted()
      const kept = host.idle.pop()
      if (kept !== undefined) return { connection: kept, wasKept: true }
      if (host.all.size < connectionsMax) return { connection: open(host), wasKept: false }
      await turn(host.waiting, signal)
    }
  }
  const giveBack = (host: Host, connection: HttpConnection): void => {
    if (!connection.isOpen) return
    host.idle.push(connection)
    host.waiting.shift()?.()
  }
  const once = async (
    host: Host,
    connection: HttpConnection,
    [request, takerOf, signal]: Parameters<HttpConnection['exchange']>,
  ): Promise<AnswerHead> => {
    try {
      return await connection.exchange(request, takerOf, signal)
    } finally {
      giveBack(host, connection)
    }
  }
  return {
    exchange: async (request, takerOf, signal) => {
      const host = hostOf(request.url)
      const { connection, wasKept } = await take(host, signal)
      try {
        return await once(host, connection, [request, takerOf, signal])
      } catch (error) {
        if (!wasKept || !isStale(error)) throw error
        // What else was kept is most likely closed as well.
        for (const kept of [...host.idle]) kept.close()
        return once(host, (await take(host, signal)).connection, [request, takerOf, signal])
      }
    },
    close: () => {
      for (const host of hosts.values()) for (const connection of [...host.all]) connection.close()
    },
  }
}

const isStale = (error: unknown): boolean =>
  error instanceof HttpFailure && error.isUnanswered && error.detail !== 'ETIMEDOUT' && error.detail !== 'closed'

/** Until it is this caller's turn. One that stops waiting gives its turn to the next. */
const turn = (waiting: (() => void)[], signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const abort = () => {
      const at = waiting.indexOf(go)
      if (at >= 0) waiting.splice(at, 1)
      reject(signal?.reason)
    }
    const go = () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    signal?.addEventListener('abort', abort, { once: true })
    waiting.push(go)
  })
