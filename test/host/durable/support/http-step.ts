import { setTimeout as sleep } from 'node:timers/promises'
import { differences } from './compare.ts'
import { type ClientRpcItem, type HttpItem, isCut } from './recording.ts'

export interface HttpWorld {
  readonly origin: string
  /** Puts the ids of this run in place of recorded ones. */
  toActual(text: string): string
  /** A recorded time of a query, as a time of this run. */
  time(recordedMs: number): number
  /** The text names an instance that this run does not go on with. */
  isDead(text: string): boolean
  /** The exact body that a start of this instance was recorded with; undefined if that is not known. */
  inputOf(instanceId: string): string | null | undefined
}

export type HttpOutcome =
  | { readonly kind: 'skipped' }
  | { readonly kind: 'compared'; readonly status: number; readonly differences: readonly string[] }
  | {
      readonly kind: 'started'
      readonly status: number
      readonly differences: readonly string[]
      readonly recordedId: string
      readonly actualId: string
    }

interface Exchange {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/** Makes a recorded client call against this run and holds status, headers and body to the recorded ones. Calls to the
 * recorded app itself are left out: what they sent to the engine stands next to them, and is made. */
export async function compareHttp(world: HttpWorld, item: HttpItem | ClientRpcItem): Promise<HttpOutcome> {
  const recordedUrl = new URL(item.url, 'http://127.0.0.1:17071')
  if (recordedUrl.port === '27072' || world.isDead(item.url) || isWholeHub(recordedUrl)) return { kind: 'skipped' }
  const recorded = recordedExchange(item)
  const actual = await send(world, recordedUrl, item)
  const at = `${item.method} ${recordedUrl.pathname}${recordedUrl.search}`
  const found = [
    ...differences(recorded.status, actual.status, 'status'),
    ...differences(comparedHeaders(recorded.headers), comparedHeaders(actual.headers), 'headers'),
    ...differences(comparedBody(recorded.body), comparedBody(actual.body), 'body'),
  ].map((line) => `${at} ${line}`)
  const started = startedIds(recorded.body, actual.body)
  const { status } = actual
  return started
    ? { kind: 'started', status, differences: found, ...started }
    : { kind: 'compared', status, differences: found }
}

/** Lists of everything in the hub name the instances of all scenarios. */
const isWholeHub = (url: URL): boolean => /\/instances\/?$/.test(url.pathname) && url.search === ''

function recordedExchange(item: HttpItem | ClientRpcItem): Exchange {
  if (item.type === 'http') return { status: item.status, headers: item.headers, body: item.body }
  const { resBody } = item
  const body = isCut(resBody) || resBody === '' ? resBody : JSON.parse(resBody)
  return { status: item.status, headers: item.resHeaders, body }
}

async function send(world: HttpWorld, recordedUrl: URL, item: HttpItem | ClientRpcItem): Promise<Exchange> {
  // Two starts never share a millisecond, so that a time between them can be named.
  await sleep(2)
  const response = await fetch(`${world.origin}${actualPath(world, recordedUrl)}`, {
    method: item.method,
    ...bodyOf(world, item),
  })
  const text = await response.text()
  return { status: response.status, headers: Object.fromEntries(response.headers), body: parsed(text) }
}

function actualPath(world: HttpWorld, url: URL): string {
  const query = url.search.replace(/(createdTime(?:From|To)=)([^&]+)/g, (whole, name: string, value: string) => {
    const recordedMs = Date.parse(decodeURIComponent(value))
    return Number.isNaN(recordedMs) ? whole : `${name}${new Date(world.time(recordedMs)).toISOString()}`
  })
  return world.toActual(`${url.pathname}${query}`)
}

function bodyOf(world: HttpWorld, item: HttpItem | ClientRpcItem): { body?: string; headers?: Record<string, string> } {
  if (item.type === 'clientRpc') {
    const headers = pick(item.headers, ['content-type', 'x-ms-continuation-token'])
    return item.method === 'POST' ? { body: item.requestBody, headers } : { headers }
  }
  const headers = { 'content-type': 'application/json', ...item.requestHeaders }
  const startedId = /\/orchestrators\/[^/]+\/([^/?]+)/.exec(item.url)?.[1]
  const input = startedId === undefined ? undefined : world.inputOf(decodeURIComponent(startedId))
  if (item.method === 'POST' && input !== undefined) return { body: input ?? '', headers }
  if (item.requestBody === undefined) return item.method === 'POST' ? { body: '', headers } : { headers }
  return { body: requestText(item.requestBody), headers }
}

/** Bodies that are not JSON were recorded as the text that was sent; a string that is JSON was recorded parsed. */
function requestText(body: unknown): string {
  const pad = (body as { readonly pad?: unknown } | null)?.pad
  if (isCut(pad)) return JSON.stringify({ ...(body as object), pad: (pad.head[0] ?? '').repeat(pad.$long) })
  if (typeof body !== 'string') return JSON.stringify(body)
  return isSentAsText(body) ? body : JSON.stringify(body)
}

/** Such texts stand in the recordings as they went over the wire. */
const isSentAsText = (body: string): boolean => parsed(body) !== body || body.startsWith('{') || body === ''

const pick = (headers: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])))

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const headerNames = ['location', 'retry-after', 'content-type', 'x-ms-continuation-token']

const comparedHeaders = (headers: Readonly<Record<string, string>>) => {
  const found = pick(headers, headerNames)
  const token = found['x-ms-continuation-token']
  return token === undefined ? found : { ...found, 'x-ms-continuation-token': token.trim() }
}

/** The text of a JSON parser's complaint is .NET's own. */
function comparedBody(body: unknown): unknown {
  const isComplaint =
    typeof body === 'object' && body !== null && 'Message' in body && body.Message === 'Invalid JSON content'
  return isComplaint ? { ...body, ExceptionMessage: '<parser>' } : body
}

function startedIds(recorded: unknown, actual: unknown) {
  const [recordedId, actualId] = [recorded, actual].map((body) => (body as { readonly id?: string } | null)?.id)
  return recordedId !== undefined && actualId !== undefined ? { recordedId, actualId } : undefined
}
