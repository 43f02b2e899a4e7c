import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuthorizedContent, DiskContents } from '../disks/disk-contents.ts'
import { ContentGoneError } from '../disks/stored-contents.ts'
import { type Counters, createCounters, type Operation } from './counters.ts'
import { createFaultList, type Fault, type FaultList } from './fault-list.ts'
import { getBlob, getBlobProperties } from './get-blob.ts'
import { getPageRanges } from './get-page-ranges.ts'
import { type BodyWriter, ConnectionCutError, createBodyWriter, type PlaneRequest } from './plane-request.ts'
import { putPage } from './put-page.ts'
import { ServiceError, sendError, statusOf } from './service-error.ts'

export interface DataPlaneOptions {
  readonly store: DiskContents
  /** 0, the default: any free port. */
  readonly port?: number
  readonly settings?: Partial<DataPlaneSettings>
}

/** May be changed while the server runs. */
export interface DataPlaneSettings {
  /** Each request waits so long before it is served. */
  latencyMs: number
  /** Ranges in a page of a listing; the service's own limit is 10,000. */
  pageListMax: number
}

export interface DataPlane {
  /** Without a slash at the end. */
  readonly origin: string
  readonly settings: DataPlaneSettings
  readonly counters: Pick<Counters, 'read' | 'reset'>
  readonly faults: Pick<FaultList, 'add' | 'clear'>
  /** Stops at once; requests in flight are cut. */
  close(): Promise<void>
}

/** Serves the bytes behind the SAS URLs of managed disks, snapshots and disk restore points on loopback, plain http. Speaks the
 * part of the Blob REST API that these URLs allow: Get Blob, Get Blob Properties, Get Page Ranges with its diff, Put Page. */
export const startDataPlane = async (options: DataPlaneOptions): Promise<DataPlane> => {
  const settings: DataPlaneSettings = { latencyMs: 0, pageListMax: 10_000, ...options.settings }
  const plane: Plane = { contents: options.store, settings, counters: createCounters(), faults: createFaultList() }
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => void serve(plane, request, response))
  server.on('connection', () => plane.counters.connected())
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    settings,
    counters: plane.counters,
    faults: plane.faults,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

interface Plane {
  readonly contents: DiskContents
  readonly settings: DataPlaneSettings
  readonly counters: Counters
  readonly faults: FaultList
}

const serve = async (plane: Plane, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = URL.parse(request.url ?? '', 'http://127.0.0.1')
  if (url?.pathname === '/_emulator/counters') return sendCounters(plane, response)
  const operation = operationOf(request.method ?? '', url?.searchParams.get('comp') ?? null)
  const done = plane.counters.begin()
  const fault = plane.faults.next(operation)
  const body = createBodyWriter(response, fault?.cutBodyAtBytes ?? null)
  let errorBytes = 0
  let isCut = false
  try {
    setCommonHeaders(request, response, url)
    const delayMs = plane.settings.latencyMs + (fault?.delayMs ?? 0)
    // A timer of no time still costs a millisecond.
    if (delayMs > 0) await sleep(delayMs)
    errorBytes = await answer(plane, { request, response, url, operation, body, fault })
  } catch (error) {
    isCut = error instanceof ConnectionCutError
    errorBytes = answerError(request, response, error)
  }
  request.resume()
  done({
    operation,
    isFailed: isCut || response.statusCode >= 400 || fault?.dropConnection === true || fault?.dropAfterEffect === true,
    bytesIn: response.statusCode === 201 ? Number(request.headers['content-length'] ?? 0) : 0,
    bytesOut: body.bytesSent() + errorBytes,
    hasPreviousSnapshot: operation === 'GetPageRanges' && request.headers['x-ms-previous-snapshot-url'] !== undefined,
    hasMarker: operation === 'GetPageRanges' && Boolean(url?.searchParams.get('marker')),
  })
}

interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL | null
  readonly operation: Operation
  readonly body: BodyWriter
  readonly fault: Fault | null
}

/** @returns bytes of an error body that a fault asked for */
const answer = async (plane: Plane, arrival: Arrival): Promise<number> => {
  const { request, response, url, operation, body, fault } = arrival
  if (fault?.dropConnection === true) return cut(response)
  if (fault?.status !== undefined) return sendFault(arrival, fault, fault.status)
  if (url === null) throw new ServiceError('InvalidInput')
  const content = await authorized(plane, url)
  const version = String(request.headers['x-ms-version'] ?? url.searchParams.get('sv'))
  const { pageListMax } = plane.settings
  await perform(operation, { contents: plane.contents, content, request, response, url, version, pageListMax, body })
  if (fault?.dropAfterEffect === true) return cut(response)
  if (!response.writableEnded) response.end()
  return 0
}

const perform = (operation: Operation, request: PlaneRequest): Promise<void> => {
  switch (operation) {
    case 'GetBlob':
      return getBlob(request)
    case 'GetBlobProperties':
      return getBlobProperties(request)
    case 'GetPageRanges':
      return getPageRanges(request)
    case 'PutPage':
      return putPage(request)
    case 'Other':
      throw refusalOf(request.request.method ?? '', request.url.searchParams.get('comp'))
    default:
      return operation satisfies never
  }
}

const operationOf = (method: string, comp: string | null): Operation => {
  if (method === 'GET' && comp === null) return 'GetBlob'
  if (method === 'HEAD' && comp === null) return 'GetBlobProperties'
  if (method === 'GET' && comp === 'pagelist') return 'GetPageRanges'
  return method === 'PUT' && comp === 'page' ? 'PutPage' : 'Other'
}

/** Other operations of the Blob REST API, which the SAS of a managed disk does not allow. */
const knownComps = [
  'metadata',
  'properties',
  'lease',
  'snapshot',
  'copy',
  'incrementalcopy',
  'tier',
  'tags',
  'undelete',
  'block',
  'blocklist',
  'pagelist',
  'page',
]

const refusalOf = (method: string, comp: string | null): ServiceError => {
  if (!['GET', 'HEAD', 'PUT', 'DELETE'].includes(method)) return new ServiceError('UnsupportedHttpVerb')
  if (comp !== null && !knownComps.includes(comp)) {
    return new ServiceError('InvalidQueryParameterValue', { QueryParameterName: 'comp', QueryParameterValue: comp })
  }
  return new ServiceError('AuthorizationPermissionMismatch')
}

const authorized = async (plane: Plane, url: URL): Promise<AuthorizedContent> => {
  const content = await plane.contents.authorize(url)
  if (content === null) {
    throw new ServiceError('AuthenticationFailed', {
      AuthenticationErrorDetail: 'Signature did not match, or the access policy has expired or was revoked.',
    })
  }
  return content
}

const setCommonHeaders = (request: IncomingMessage, response: ServerResponse, url: URL | null): void => {
  response.setHeader('server', 'Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0')
  response.setHeader('x-ms-request-id', randomUUID())
  response.setHeader('x-ms-version', request.headers['x-ms-version'] ?? url?.searchParams.get('sv') ?? '2018-11-09')
  const clientId = request.headers['x-ms-client-request-id']
  if (clientId !== undefined) response.setHeader('x-ms-client-request-id', clientId)
}

const answerError = (request: IncomingMessage, response: ServerResponse, error: unknown): number => {
  if (error instanceof ConnectionCutError || response.destroyed) return cut(response)
  // Half of a body is sent already: only a closed connection tells the client.
  if (response.headersSent) return cut(response)
  const known = error instanceof ContentGoneError ? new ServiceError('BlobNotFound') : error
  const failure = known instanceof ServiceError ? known : new ServiceError('InternalError')
  if (failure.code === 'InternalError') console.error('The data plane failed:', error)
  if (failure.code === 'RequestBodyTooLarge') response.setHeader('connection', 'close')
  for (const name of ['content-length', 'content-range', 'content-md5']) response.removeHeader(name)
  return sendError(
    response,
    { code: failure.code, status: statusOf(failure.code), details: failure.details },
    request.method !== 'HEAD',
  )
}

const sendFault = ({ request, response }: Arrival, fault: Fault, status: number): number => {
  if (fault.retryAfterSeconds !== undefined) response.setHeader('retry-after', fault.retryAfterSeconds)
  return sendError(
    response,
    { code: fault.code ?? (status === 503 ? 'ServerBusy' : 'InternalError'), status },
    request.method !== 'HEAD',
  )
}

const cut = (response: ServerResponse): number => {
  response.socket?.destroySoon()
  return 0
}

const sendCounters = (plane: Plane, response: ServerResponse): void => {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(plane.counters.read(), null, 2))
}
