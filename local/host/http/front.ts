import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DurableEngine } from '../durable/engine.ts'
import type { HttpFunction } from '../function-catalog.ts'
import type { InvokeFunction } from '../invoke-function.ts'
import type { LogSink } from '../log.ts'
import { type AdminContext, serveAdmin } from './admin-routes.ts'
import { bareResponse } from './bare-response.ts'
import type { RequestHandler } from './http-server.ts'
import { serveHttpTrigger } from './http-trigger.ts'
import { type HostKeys, opens, presentedKey } from './keys.ts'
import type { RequestTarget } from './request-target.ts'
import { routeTable } from './route-table.ts'

export interface FrontOptions {
  readonly functions: readonly HttpFunction[]
  readonly routePrefix: string
  /** null: nothing is locked. */
  readonly keys: HostKeys | null
  readonly admin: AdminContext
  readonly invoke: InvokeFunction
  readonly engine: Pick<DurableEngine, 'handle'>
  readonly onLog: LogSink
}

const startsWith = (segments: readonly string[], ...prefix: readonly string[]): boolean =>
  prefix.every((segment, index) => segments[index]?.toLowerCase() === segment)

/** The engine knows the system key alone, as `code`; who came with the master key or by the header is let in by it. */
const withCode = ({ pathAndQuery, query }: RequestTarget, keys: HostKeys): string => {
  const withKey = new URLSearchParams(query)
  withKey.set('code', keys.systemKey)
  return `${pathAndQuery.split('?')[0]}?${withKey}`
}

/** A call of the Durable client; keyless on the real host too, which serves it to its own machine only. */
export const isClientRpc = ({ segments }: RequestTarget): boolean => startsWith(segments, 'durabletask')

/**
 * Sends each request where it belongs: admin routes, the Durable management API and client RPC, or an HTTP trigger.
 * An unknown path or a method that no function of the route takes is a bare 404, a missing or wrong key a bare 401.
 */
export const hostFront = (options: FrontOptions): RequestHandler => {
  const { keys } = options
  const find = routeTable(options.functions, options.routePrefix)

  const serveDurable = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!(await options.engine.handle(request, response))) bareResponse(response, 404)
  }

  return async (target, request, response) => {
    const { segments, query } = target
    const isOpen = (level: 'system' | 'admin') =>
      opens(keys, presentedKey(request, query), { level, functionName: null })
    if (startsWith(segments, 'admin')) {
      if (!isOpen('admin')) return bareResponse(response, 401)
      return serveAdmin(options.admin, segments, request, response)
    }
    if (startsWith(segments, 'runtime', 'webhooks', 'durabletask')) {
      if (!isOpen('system')) return bareResponse(response, 401)
      if (keys !== null) request.url = withCode(target, keys)
      return serveDurable(request, response)
    }
    if (isClientRpc(target)) return serveDurable(request, response)

    const match = find(request.method ?? 'GET', segments)
    if (match === null) return bareResponse(response, 404)
    const lock = { level: match.hosted.authLevel, functionName: match.hosted.name }
    if (!opens(keys, presentedKey(request, query), lock)) return bareResponse(response, 401)
    return serveHttpTrigger(options.invoke, match, target, request, response, options.onLog)
  }
}
