import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, Socket, type SocketConstructorOpts } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

/** One request whose head has arrived. */
export interface LeanRequest {
  readonly method: string
  /** Path and query as sent. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly bodyBytes: number
}

/** What takes a request's body and then answers. Pieces are only good until `piece` returns. */
export interface LeanExchange {
  piece?(bytes: Buffer): void
  /** Called when the body is through. */
  answer(socket: LeanAnswer): void | Promise<void>
}

export interface LeanAnswer {
  /** The head alone, or with a body that is there already. */
  send(status: number, headers: Readonly<Record<string, string | number>>, body?: Buffer): void
  /** More of the body; resolves when the socket has taken it and the buffer is free again. */
  write(body: Buffer): Promise<void>
}

export type LeanHandler = (request: LeanRequest) => LeanExchange

/** An HTTP/1.1 server of the few features that a measured program needs: keep-alive, bodies with a length, one request after another on a
 * connection. It costs as little as it can, so that what is measured is the other side.
 * @param identity files of a certificate and its key: TLS; null: plain
 * @returns the port on loopback */
export const startLeanServer = async (
  handler: LeanHandler,
  identity: { readonly certificatePath: string; readonly keyPath: string } | null,
): Promise<number> => {
  const server =
    identity === null
      ? createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => serveInto(accepted, handler))
      : createTlsServer(
          { cert: readFileSync(identity.certificatePath), key: readFileSync(identity.keyPath) },
          (socket) => socket.on('data', serve(socket, handler)),
        )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const noBytes = Buffer.alloc(0)
const headBytesMax = 64 * 1024

const receiveBytes = 512 * 1024

/** Receives into memory of its own, again and again: half the cost of new memory for each 64 KiB. An accepted socket cannot be asked to, so
 * another takes its handle over, which is no public part of it. */
const serveInto = (accepted: Socket, handler: LeanHandler): void => {
  const buffer = Buffer.allocUnsafeSlow(receiveBytes)
  const callback = (count: number): boolean => {
    receive(buffer.subarray(0, count))
    return true
  }
  const { _handle: handle } = accepted as unknown as { readonly _handle: unknown }
  Object.assign(accepted, { _handle: null })
  const socket = new Socket({ handle, onread: { buffer, callback } } as SocketConstructorOpts)
  const receive = serve(socket, handler)
  socket.resume()
}

/** @returns what takes the bytes that the socket receives */
const serve = (socket: Socket, handler: LeanHandler): ((bytes: Buffer) => void) => {
  let head: Buffer = noBytes
  let exchange: LeanExchange | null = null
  let bodyLeft = 0
  socket.on('error', () => socket.destroy())
  const finish = (done: LeanExchange): void => {
    socket.pause()
    const goOn = () => {
      exchange = null
      if (!socket.destroyed) socket.resume()
    }
    Promise.resolve(done.answer(answerOn(socket))).then(goOn, () => socket.destroy())
  }
  const begin = (bytes: Buffer): void => {
    const come = head.length === 0 ? bytes : Buffer.concat([head, bytes])
    const end = come.indexOf('\r\n\r\n')
    if (end < 0) {
      if (come.length > headBytesMax) socket.destroy()
      head = Buffer.from(come)
      return
    }
    const request = parseHead(come.toString('latin1', 0, end))
    const rest = come.subarray(end + 4)
    head = noBytes
    exchange = handler(request)
    bodyLeft = request.bodyBytes
    take(exchange, rest)
  }
  const take = (current: LeanExchange, bytes: Buffer): void => {
    if (bytes.length > bodyLeft) {
      socket.destroy()
      return
    }
    bodyLeft -= bytes.length
    if (bytes.length > 0) current.piece?.(bytes)
    if (bodyLeft === 0) finish(current)
  }
  return (bytes) => (exchange === null ? begin(bytes) : take(exchange, bytes))
}

const parseHead = (text: string): LeanRequest => {
  const [first = '', ...lines] = text.split('\r\n')
  const [method = '', target = ''] = first.split(' ')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { method, target, headers, bodyBytes: Number(headers.get('content-length') ?? 0) }
}

const reasons: Readonly<Record<number, string>> = { 200: 'OK', 201: 'Created', 202: 'Accepted', 206: 'Partial Content' }

const answerOn = (socket: Socket): LeanAnswer => ({
  send(status, headers, body) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const length = headers['content-length'] === undefined ? `content-length: ${body?.length ?? 0}\r\n` : ''
    const head = Buffer.from(
      `HTTP/1.1 ${status} ${reasons[status] ?? 'Other'}\r\n${lines.join('')}${length}\r\n`,
      'latin1',
    )
    socket.write(body === undefined ? head : Buffer.concat([head, body]))
  },
  write: (body) =>
    new Promise((resolve, reject) => {
      socket.write(body, (error) => (error ? reject(error) : resolve()))
    }),
})
