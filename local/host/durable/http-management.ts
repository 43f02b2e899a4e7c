import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientOperations, Told } from './client-operations.ts'
import { continuationToken, listReply, purgeAllReply } from './http-list.ts'
import { emptyReply, errorReply, jsonReply, type Reply, readBody, sendReply } from './http-reply.ts'
import { isNotFalse, statusReply } from './http-status.ts'
import { clientRpcPath, type HubAddress, managementUrls, webhookPath } from './management-urls.ts'
import { isLive, type Store } from './store.ts'

export interface ManagementContext {
  readonly store: Store
  readonly operations: ClientOperations
  readonly hub: () => HubAddress
}

/** One request, taken apart. `segments` are decoded and come after the base path. */
interface Call {
  readonly method: string
  readonly segments: readonly string[]
  readonly query: URLSearchParams
  readonly request: IncomingMessage
  /** The URL that was asked for, decoded, with host. */
  readonly ownUrl: string
}

/** Serves the Durable HTTP API under both of its paths; the public one asks for the system key (`code`, `x-functions-key`).
 * @returns false, having done nothing, if the path is not one of them */
export async function handleManagement(
  context: ManagementContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const base = [webhookPath, clientRpcPath].find((path) => url.pathname.startsWith(`${path}/`))
  if (base === undefined) return false
  if (base === webhookPath && !hasKey(context.hub(), url, request)) sendReply(response, emptyReply(401))
  else sendReply(response, await answer(context, request, url, base))
  return true
}

function hasKey(hub: HubAddress, url: URL, request: IncomingMessage): boolean {
  if (hub.systemKey === null) return true
  return url.searchParams.get('code') === hub.systemKey || request.headers['x-functions-key'] === hub.systemKey
}

async function answer(context: ManagementContext, request: IncomingMessage, url: URL, base: string): Promise<Reply> {
  const segments = decodedSegments(url.pathname.slice(base.length + 1))
  if (!segments) return emptyReply(404)
  const ownUrl = `http://${request.headers.host ?? ''}${safeDecode(url.pathname) ?? ''}${url.search}`
  const call: Call = { method: request.method ?? 'GET', segments, query: url.searchParams, request, ownUrl }
  const [collection, id] = segments
  switch (collection) {
    case 'orchestrators':
      return call.method === 'POST' && segments.length >= 2 && segments.length <= 3
        ? start(context, call)
        : emptyReply(404)
    case 'instances':
      return id === undefined || id === '' ? collectionReply(context, call) : instanceReply(context, call, id)
    case 'entities':
      return jsonReply(501, 'Refused: the local host does not implement entities.')
    default:
      return emptyReply(404)
  }
}

/** @returns undefined where a segment is not valid, or hides a slash: the real host finds no route for those */
function decodedSegments(path: string): string[] | undefined {
  const segments = path.split('/').map(safeDecode)
  return segments.every((segment) => segment !== undefined && !segment.includes('/'))
    ? (segments as string[])
    : undefined
}

function safeDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Limit of the Durable extension for an instance id. */
const idCharactersMax = 256

async function start(context: ManagementContext, call: Call): Promise<Reply> {
  const [, name = '', id] = call.segments
  if (id !== undefined && (id.length > idCharactersMax || /[\\#?]/.test(id)))
    return jsonReply(400, { Message: `An instance id has at most ${idCharactersMax} characters and no \\, # or ?.` })
  const body = await readBody(call.request)
  if (body === undefined) return emptyReply(413)
  if (body.trim() !== '' && !isJson(body)) return invalidJson('The body of the request is not JSON.')
  const started = context.operations.start(name, id === '' ? undefined : id, body.trim() === '' ? null : body)
  if (started.kind === 'conflict') return conflict(started.status)
  return call.query.has('timeout')
    ? waitForEnd(context, call, started.instanceId)
    : accepted(context, started.instanceId)
}

const conflict = (status: string): Reply =>
  jsonReply(409, { Message: `An Orchestration instance with the status ${status} already exists.` })

function accepted(context: ManagementContext, instanceId: string): Reply {
  const urls = managementUrls(context.hub(), instanceId)
  return jsonReply(202, urls, { location: urls.statusQueryGetUri, 'retry-after': '10' })
}

/** The bare output if the instance completes in time, its status if it fails, else the usual 202. */
async function waitForEnd(context: ManagementContext, call: Call, instanceId: string): Promise<Reply> {
  const seconds = (name: string, otherwise: number) =>
    Math.max(Number(call.query.get(name) ?? otherwise) || otherwise, 0.01)
  const endMs = Date.now() + seconds('timeout', 10) * 1000
  const intervalMs = seconds('pollingInterval', 1) * 1000
  for (;;) {
    const row = context.store.instance(instanceId)
    if (row?.status === 'Completed') return jsonReply(200, row.output === null ? null : JSON.parse(row.output))
    if (row && !isLive(row.status)) return statusReply(context.store, instanceId, call.query, call.ownUrl)
    if (Date.now() + intervalMs > endMs) return accepted(context, instanceId)
    await sleep(intervalMs)
  }
}

function collectionReply(context: ManagementContext, call: Call): Reply {
  if (call.segments.length > 2) return emptyReply(404)
  if (call.method === 'GET') return listReply(context.store, call.query, continuationToken(call.request.headers))
  return call.method === 'DELETE' ? purgeAllReply(context.operations, call.query) : emptyReply(404)
}

function instanceReply(context: ManagementContext, call: Call, id: string): Reply | Promise<Reply> {
  const { method, segments, query } = call
  const [, , operation, eventName] = segments
  if (segments.length === 2 && method === 'GET') return statusReply(context.store, id, query, call.ownUrl)
  if (segments.length === 2 && method === 'DELETE') return purge(context, id)
  if (method !== 'POST') return emptyReply(404)
  if (operation === 'raiseEvent' && segments.length === 4) return raiseEvent(context, call, id, eventName ?? '')
  if (segments.length !== 3) return emptyReply(404)
  const reason = query.get('reason')
  switch (operation) {
    case 'terminate':
      return told(context.operations.terminate(id, reason), 'terminate', id)
    case 'suspend':
      return told(context.operations.suspend(id, reason), 'suspend', id)
    case 'resume':
      return told(context.operations.resume(id, reason), 'resume', id)
    case 'restart':
      return restart(context, id, isNotFalse(query.get('restartWithNewInstanceId')))
    case 'rewind':
      return rewind(context, id)
    default:
      return emptyReply(404)
  }
}

function purge(context: ManagementContext, id: string): Reply {
  const purged = context.operations.purge(id)
  if (purged === true) return jsonReply(200, { instancesDeleted: 1 })
  if (purged === false) return emptyReply(404)
  return jsonReply(
    412,
    `Only orchestrations in a terminal state can be purged, but the orchestration with instance ID ${id} has status ${purged.status}`,
  )
}

async function raiseEvent(context: ManagementContext, call: Call, id: string, eventName: string): Promise<Reply> {
  const body = await readBody(call.request)
  if (body === undefined) return emptyReply(413)
  if (!context.store.instance(id)) return emptyReply(404)
  if (!(call.request.headers['content-type'] ?? '').includes('application/json'))
    return jsonReply(400, { Message: 'Only application/json request content is supported' })
  if (!isJson(body)) return invalidJson('The body of the request is not JSON.')
  return told(context.operations.raiseEvent(id, eventName, JSON.stringify(JSON.parse(body))), 'raise an event to', id)
}

function told(result: Told, verb: string, id: string): Reply {
  switch (result.kind) {
    case 'told':
      return emptyReply(202)
    case 'unknown':
      return emptyReply(404)
    case 'gone':
      return emptyReply(410)
    case 'wrongState':
      return errorReply(
        500,
        'Something went wrong while processing your request',
        `Cannot ${verb} the orchestration instance ${id} because instance is in the ${result.status} state.`,
        'System.InvalidOperationException',
      )
    default:
      return result satisfies never
  }
}

/** A new start with the same name and input; an input that was never given becomes `null`, as on the real host. */
function restart(context: ManagementContext, id: string, withNewId: boolean): Reply {
  const row = context.store.instance(id)
  if (!row)
    return errorReply(
      400,
      'InstanceId does not match a valid orchestration instance.',
      `No instance with ID '${id}' was found. (Parameter 'instanceId')`,
      'System.ArgumentException',
    )
  const input = row.input ?? 'null'
  const { start } = context.operations
  const started = withNewId ? start(row.name, undefined, input, id) : start(row.name, id, input)
  if (started.kind === 'started') return accepted(context, started.instanceId)
  return errorReply(
    409,
    'A non-terminal instance with this instance ID already exists.',
    `An Orchestration instance with the status ${started.status} already exists.`,
    'DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException',
  )
}

function rewind(context: ManagementContext, id: string): Reply {
  const row = context.store.instance(id)
  if (!row) return jsonReply(404, `No orchestration with instance ID "$${id}" found.`)
  if (row.status !== 'Failed')
    return jsonReply(
      412,
      `This orchestration has status ${row.status}, but only orchestrations in the "Failed" state can be rewound.`,
    )
  return jsonReply(501, 'Refused: the local host does not implement rewind. Restart the instance instead.')
}

const invalidJson = (message: string): Reply =>
  errorReply(400, 'Invalid JSON content', message, 'Newtonsoft.Json.JsonReaderException')

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
