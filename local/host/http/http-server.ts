import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { messageOf } from '../error-text.ts'
import type { LogSink } from '../log.ts'
import { bareResponse } from './bare-response.ts'
import { parseRequestTarget, type RequestTarget } from './request-target.ts'

/** Serves one request whose target has been parsed. */
export type RequestHandler = (
  target: RequestTarget,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void>

/** The listening part of the host: it takes connections before the app is loaded, and answers 503 until then. */
export interface HttpServer {
  readonly port: number
  /** Requests that come from now on go to this handler; those under way stay where they are. */
  serve(handler: RequestHandler): void
  /** Resolves when no request is under way. */
  idle(): Promise<void>
  /** Takes no more connections and closes those there are. */
  close(): Promise<void>
}

/** Kestrel's limits for the request line and for all headers together. Source: KestrelServerLimits. */
const requestLineBytesMax = 8 * 1024
const headersBytesMax = 32 * 1024

/** Kestrel keeps an idle connection so long. Node's own 5 s are over while a busy process looks away, and a client that sends just then finds
 * its connection reset. Source: KestrelServerLimits. */
const keepAliveTimeout = 130_000

/** Answers 503 to everything: a host that is not ready, or that ends. */
export const notReady: RequestHandler = async (_target, _request, response) => bareResponse(response, 503)

const loopback = '127.0.0.1'

const isLineTooLong = (request: IncomingMessage): boolean =>
  Buffer.byteLength(`${request.method} ${request.url} HTTP/1.1\r\n`) > requestLineBytesMax

/** What the parser cannot take: a request line too long for it to the end is 414, too many headers 431, else 400. */
const refuseUnparsed = (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket): void => {
  if (!socket.writable) return
  const lineEnd = error.rawPacket?.indexOf('\n') ?? -1
  const overflow = error.code === 'HPE_HEADER_OVERFLOW'
  const lineTooLong = overflow && (lineEnd < 0 || lineEnd > requestLineBytesMax)
  const status = lineTooLong ? '414 URI Too Long' : overflow ? '431 Request Header Fields Too Large' : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
}

const listen = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint = `Port ${port} is in use. Stop the program that listens there, or choose another port with --port.`
      reject(error.code === 'EADDRINUSE' ? new Error(hint, { cause: error }) : error)
    })
    server.listen(port, loopback, resolve)
  })

/** Listens on loopback. @param port 0 takes any free one. Rejects with what to do where the port is in use. */
export const startHttpServer = async (port: number, onLog: LogSink): Promise<HttpServer> => {
  let handler: RequestHandler = notReady
  const underWay = new Set<Promise<void>>()
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (isLineTooLong(request)) {
      response.writeHead(414, { 'content-length': 0, connection: 'close' }).end()
      return
    }
    try {
      await handler(parseRequestTarget(request.url ?? '/'), request, response)
    } catch (error) {
      onLog({ level: 'error', category: 'Host.Http', message: `${request.method} request failed: ${messageOf(error)}` })
      if (!response.headersSent) bareResponse(response, 500)
      else response.destroy()
    }
  }
  const limits = { maxHeaderSize: requestLineBytesMax + headersBytesMax, keepAliveTimeout }
  const server = createServer(limits, (request, response) => {
    const answered = answer(request, response).finally(() => underWay.delete(answered))
    underWay.add(answered)
  })
  server.on('clientError', (error, socket) => refuseUnparsed(error, socket as Socket))
  await listen(server, port)

  return {
    port: (server.address() as AddressInfo).port,
    serve: (next) => {
      handler = next
    },
    idle: async () => {
      while (underWay.size > 0) await Promise.all(underWay)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
