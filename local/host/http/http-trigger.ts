import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../error-text.ts'
import type { InvocationResult, RpcHttp, RpcValue } from '../invocation.ts'
import type { InvokeFunction } from '../invoke-function.ts'
import type { LogSink } from '../log.ts'
import { bareResponse, refuseBody } from './bare-response.ts'
import { bodyBytesMax, readBody } from './request-body.ts'
import type { RequestTarget } from './request-target.ts'
import type { RouteMatch } from './route-table.ts'

/** Values of one name are joined, as .NET's StringValues are. */
const joined = (pairs: Iterable<readonly [string, string]>): Record<string, string> => {
  const values: Record<string, string> = {}
  for (const [name, value] of pairs) values[name] = Object.hasOwn(values, name) ? `${values[name]},${value}` : value
  return values
}

const headersOf = (request: IncomingMessage): Record<string, string> => {
  const raw = request.rawHeaders
  const pairs = raw.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), raw[index + 1]!] as const] : []))
  // HTTP joins cookies otherwise than all other headers (RFC 6265, RFC 9113).
  return { ...joined(pairs), ...(request.headers.cookie === undefined ? {} : { cookie: request.headers.cookie }) }
}

const rpcRequest = (request: IncomingMessage, target: RequestTarget, match: RouteMatch, body: Uint8Array): RpcValue => {
  const http: RpcHttp = {
    method: request.method!,
    url: `http://${request.headers.host ?? 'localhost'}${target.pathAndQuery}`,
    headers: headersOf(request),
    params: match.parameters,
    query: joined(target.query),
  }
  return { http: body.length === 0 ? http : { ...http, body: { bytes: body } } }
}

const bytesOf = (body: RpcValue | undefined): Uint8Array => {
  if (body?.bytes !== undefined) return body.bytes
  return Buffer.from(body?.string ?? body?.json ?? '')
}

const hostSetHeaders = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive'])

const writeRpcResponse = (response: ServerResponse, http: RpcHttp): void => {
  if ((http.cookies?.length ?? 0) > 0) throw new Error('This host does not serve cookies; set the header yourself.')
  const body = bytesOf(http.body)
  response.statusCode = Number(http.statusCode ?? 200)
  for (const [name, value] of Object.entries(http.headers ?? {})) {
    if (!hostSetHeaders.has(name.toLowerCase())) response.setHeader(name, value)
  }
  const hasNoBody = response.statusCode === 204 || response.statusCode === 304
  if (!hasNoBody) response.setHeader('content-length', body.length)
  response.end(hasNoBody ? undefined : body)
}

const writeResult = (response: ServerResponse, result: InvocationResult): void => {
  if (result.kind !== 'succeeded') bareResponse(response, 500)
  // A function that returns nothing answers 204: ASP.NET's formatter for null, which the real host leaves in charge.
  else if (result.returnValue?.http === undefined) response.writeHead(204).end()
  else writeRpcResponse(response, result.returnValue.http)
}

/** Serves one request that a route has matched and a key has opened. Failed functions answer a bare 500. */
export const serveHttpTrigger = async (
  invoke: InvokeFunction,
  match: RouteMatch,
  target: RequestTarget,
  request: IncomingMessage,
  response: ServerResponse,
  onLog: LogSink,
): Promise<void> => {
  const body = await readBody(request, bodyBytesMax)
  if (body === null) {
    refuseBody(response)
    return
  }
  const trigger = rpcRequest(request, target, match, body)
  const result = await invoke(match.hosted, trigger, `${request.method} /${target.segments.join('/')}`)
  try {
    writeResult(response, result)
  } catch (error) {
    const message = `The response could not be written: ${messageOf(error)}`
    onLog({ level: 'error', category: `Function.${match.hosted.name}`, message })
    if (!response.headersSent) bareResponse(response, 500)
  }
}
