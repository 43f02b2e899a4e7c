import type { IncomingMessage, ServerResponse } from 'node:http'
import * as v from 'valibot'
import type { HostedFunction } from '../function-catalog.ts'
import type { RpcValue } from '../invocation.ts'
import type { InvokeFunction } from '../invoke-function.ts'
import type { ProcessMemory } from '../worker/process-memory.ts'
import { bareResponse, jsonResponse, refuseBody } from './bare-response.ts'
import { readBody } from './request-body.ts'

export interface AdminContext {
  readonly catalog: readonly HostedFunction[]
  readonly publicOrigin: string
  readonly routePrefix: string
  readonly invoke: InvokeFunction
  /** The value of a timer's trigger for a run by hand. */
  readonly manualTimerTrigger: (functionName: string) => RpcValue
  readonly workers: () => Promise<readonly ProcessMemory[]>
}

/** Body of a run by hand. Source: Functions docs, "Manually run a non-HTTP-triggered function". */
const invocationBody = v.looseObject({ input: v.optional(v.string()) })
const invocationBytesMax = 1024 * 1024

/** Address at which an HTTP function is called, with its route's parameters as they are written. */
export const invokeUrl = (origin: string, routePrefix: string, route: string): string =>
  `${origin}/${routePrefix === '' ? '' : `${routePrefix}/`}${route}`

const listed = (context: AdminContext, hosted: HostedFunction) => ({
  name: hosted.name,
  href: `${context.publicOrigin}/admin/functions/${hosted.name}`,
  invoke_url_template:
    hosted.kind === 'http' ? invokeUrl(context.publicOrigin, context.routePrefix, hosted.route) : null,
  language: 'node',
  type: hosted.kind,
  isDisabled: false,
})

const status = async (context: AdminContext) => ({
  state: 'Running',
  version: '4.0.0',
  versionDetails: 'DeltaVault local Functions host',
  processUptime: Math.round(process.uptime() * 1000),
  pid: process.pid,
  workers: await context.workers(),
})

const refusalOf = (hosted: HostedFunction): string | null => {
  if (hosted.kind === 'http') return 'It has an HTTP trigger: call it at its URL.'
  if (hosted.kind === 'orchestration') return 'Orchestrations are started by a client function or by the Durable API.'
  return null
}

const runByHand = async (
  context: AdminContext,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) return bareResponse(response, 415)
  const bytes = await readBody(request, invocationBytesMax)
  if (bytes === null) return refuseBody(response)
  const body = parseJson(Buffer.from(bytes).toString('utf8'))
  const parsed = v.safeParse(invocationBody, body)
  if (!parsed.success) return jsonResponse(response, 400, { message: 'The body is to be {"input": "…"}.' })
  const hosted = context.catalog.find((one) => one.name.toLowerCase() === name.toLowerCase())
  if (hosted === undefined) return bareResponse(response, 404)
  const refusal = refusalOf(hosted)
  if (refusal !== null) return jsonResponse(response, 400, { message: `${hosted.name} cannot be run so. ${refusal}` })
  const trigger =
    hosted.kind === 'timer' ? context.manualTimerTrigger(hosted.name) : { string: parsed.output.input ?? '' }
  void context.invoke(hosted, trigger, 'this was run by hand')
  bareResponse(response, 202)
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Serves what lies below `/admin`: `GET host/status`, `GET functions`, `POST functions/{name}`. Anything else is a bare
 * 404. The run that a POST starts goes on after its 202; its outcome is in the log.
 * @param segments of the path, `admin` included
 */
export const serveAdmin = async (
  context: AdminContext,
  segments: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const [, area, name, ...more] = segments
  const route = `${request.method} ${area?.toLowerCase() ?? ''}`
  if (route === 'GET host' && name === 'status' && more.length === 0) jsonResponse(response, 200, await status(context))
  else if (route === 'GET functions' && name === undefined)
    jsonResponse(
      response,
      200,
      context.catalog.map((hosted) => listed(context, hosted)),
    )
  else if (route === 'POST functions' && name !== undefined && more.length === 0)
    await runByHand(context, name, request, response)
  else bareResponse(response, 404)
}
