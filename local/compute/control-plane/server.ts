import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { allRoutes } from './all-routes.ts'
import { ArmError } from './arm-error.ts'
import type { ArmReply } from './arm-request.ts'
import { controlReply } from './control-routes.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { Fault } from './faults.ts'
import type { Identity } from './identity.ts'
import { createRouter, type Match, requireApiVersion } from './router.ts'
import { requireScope } from './scopes.ts'

/** Azure Resource Manager takes bodies of at most 4 MB. */
const bodyBytesMax = 4 * 1024 * 1024

export interface ControlPlaneServer {
  /** `https://127.0.0.1:port` */
  readonly origin: string
  readonly port: number
  close(): Promise<void>
}

interface ServerOptions {
  readonly context: EmulatorContext
  readonly identity: Identity
  readonly port: number
  readonly key: string
  readonly cert: string
}

/** Path of the managed-identity endpoint. */
export const identityPath = '/msi/token'

/** Serves Azure Resource Manager's part of Microsoft.Compute over TLS, on loopback only. @throws when the port is taken */
export const serveControlPlane = async (options: ServerOptions): Promise<ControlPlaneServer> => {
  const server = createServer({ key: options.key, cert: options.cert, keepAliveTimeout: 30_000 })
  const route = createRouter(allRoutes)
  server.listen(options.port, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const origin = `https://127.0.0.1:${port}`
  server.on('request', (request, response) => void answer({ ...options, origin, route }, request, response))
  return {
    origin,
    port,
    close: async () => {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, 'close')
    },
  }
}

interface Front extends ServerOptions {
  readonly origin: string
  readonly route: (method: string, path: string) => Match
}

/** Thrown to cut the connection instead of answering. */
class ConnectionDrop extends Error {}

const answer = async (front: Front, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  let reply: ArmReply
  try {
    reply = await replyTo(front, request)
  } catch (error) {
    if (error instanceof ConnectionDrop) {
      request.socket.destroy()
      return
    }
    reply = errorReply(error)
  }
  send(request, response, reply)
}

const replyTo = async (front: Front, request: IncomingMessage): Promise<ArmReply> => {
  const target = `${front.origin}${request.url ?? '/'}`
  if (!URL.canParse(target)) throw new ArmError({ status: 400, code: 'BadRequest', message: 'The URL is malformed.' })
  const url = new URL(target)
  const method = request.method ?? 'GET'
  if (url.pathname === identityPath && method === 'GET')
    return front.identity.answer(url.searchParams, headerOf(request, 'x-identity-header'))
  if (url.pathname.startsWith('/_emulator/'))
    return controlReply(front.context, method, url.pathname, parseJson(await readBody(request)))
  const text = await readBody(request)
  front.identity.require(request.headers.authorization)
  const match = front.route(method, url.pathname)
  const apiVersion = requireApiVersion(url.searchParams, match.route)
  const { subscriptionId = '', resourceGroupName } = match.params
  requireScope(front.context.state, subscriptionId, resourceGroupName)
  const limits = front.context.limits.charge(match.route.operation, method, subscriptionId, resourceKey(match))
  const reply = await dispatch(front, match, { method, url, apiVersion, body: parseJson(text) })
  return { ...reply, headers: { ...limits, ...reply.headers } }
}

interface Parsed {
  readonly method: string
  readonly url: URL
  readonly apiVersion: string
  readonly body: unknown
}

const dispatch = async (front: Front, match: Match, parsed: Parsed): Promise<ArmReply> => {
  const { context } = front
  const fault = context.faults.take(match.route.operation, parsed.url.pathname)
  if (fault !== null && fault.latencyMs > 0) await delay(fault.latencyMs)
  if (fault !== null && !fault.afterEffect) strike(fault)
  const reply = await match.route.handle(context, {
    operation: match.route.operation,
    method: parsed.method,
    path: parsed.url.pathname,
    query: parsed.url.searchParams,
    params: match.params,
    body: parsed.body,
    apiVersion: parsed.apiVersion,
    origin: front.origin,
    fault,
  })
  if (fault !== null) strike(fault)
  return reply
}

const strike = (fault: Fault): void => {
  if (fault.dropConnection) throw new ConnectionDrop()
  if (fault.status !== undefined)
    throw new ArmError({
      status: fault.status,
      code: fault.code,
      message: fault.message,
      ...(fault.retryAfterSeconds === undefined ? {} : { headers: { 'Retry-After': String(fault.retryAfterSeconds) } }),
    })
}

/** What buckets of a single resource count by: the VM, collection or operation, not its children. */
const resourceKey = ({ route, params }: Match): string =>
  [
    route.path.split('/')[7],
    params.resourceGroupName,
    params.operationId ?? params.vmName ?? params.restorePointCollectionName ?? '',
  ]
    .join(' ')
    .toLowerCase()

const headerOf = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  let lengthBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length
    if (lengthBytes > bodyBytesMax)
      throw new ArmError({
        status: 413,
        code: 'RequestContentTooLarge',
        message: `The request content is larger than ${bodyBytesMax} bytes.`,
        headers: { Connection: 'close' },
      })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const parseJson = (text: string): unknown => {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new ArmError({
      status: 400,
      code: 'InvalidRequestContent',
      message: 'The request content was invalid and could not be deserialized as JSON.',
    })
  }
}

const errorReply = (error: unknown): ArmReply => {
  if (error instanceof ArmError) return { status: error.status, headers: error.headers, body: error.body }
  console.error('A request failed inside the emulator:', error)
  return {
    status: 500,
    body: { error: { code: 'InternalServerError', message: 'The emulator failed; its log says why.' } },
  }
}

const send = (request: IncomingMessage, response: ServerResponse, reply: ArmReply): void => {
  const body = reply.body === undefined ? '' : JSON.stringify(reply.body)
  const id = randomUUID()
  response.writeHead(reply.status, {
    'Cache-Control': 'no-cache',
    Pragma: 'no-cache',
    Expires: '-1',
    'x-ms-request-id': id,
    'x-ms-correlation-request-id': headerOf(request, 'x-ms-correlation-request-id') ?? id,
    'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
    'X-Content-Type-Options': 'nosniff',
    ...(body === '' ? {} : { 'Content-Type': 'application/json; charset=utf-8' }),
    ...(reply.status === 204 ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
    ...reply.headers,
  })
  response.end(body)
}
