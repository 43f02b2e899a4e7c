import { createHash } from 'node:crypto'
import { ArmError } from './arm-error.ts'
import { type ArmReply, type ArmRequest, inSubscription, param, type Route } from './arm-request.ts'
import type { EmulatorContext } from './emulator-context.ts'
import type { OperationRecord } from './records.ts'

interface Acceptance {
  readonly status: 200 | 201 | 202
  readonly body?: unknown
  /** Restore points are answered without Location, everything else with both headers. */
  readonly location: boolean
  readonly retryAfter?: boolean
}

/** The answer to an accepted long-running operation: its polling URLs, shaped as the service's own. */
export const accepted = (
  context: EmulatorContext,
  request: ArmRequest,
  operation: OperationRecord,
  acceptance: Acceptance,
): ArmReply => ({
  status: acceptance.status,
  headers: {
    'Azure-AsyncOperation': operationUrl(request, operation, false),
    ...(acceptance.location ? { Location: operationUrl(request, operation, true) } : {}),
    ...(acceptance.retryAfter === true ? { 'Retry-After': String(context.settings().retryAfterSeconds) } : {}),
  },
  body: acceptance.body,
})

const operationUrl = (request: ArmRequest, operation: OperationRecord, monitor: boolean): string => {
  const folder = operation.service === 'disk' ? 'DiskOperations' : 'operations'
  const query = [
    `p=${operation.subscriptionId}`,
    ...(monitor ? ['monitor=true'] : []),
    `api-version=${request.apiVersion}`,
    ...(operation.service === 'disk' ? signature(operation) : []),
  ].join('&')
  return `${request.origin}/subscriptions/${operation.subscriptionId}/providers/Microsoft.Compute/locations/${operation.location}/${folder}/${operation.id}?${query}`
}

/** DiskOperations URLs of the real service are about 3 KB long (parameters t, c, s, h), and ARM asks its clients to take
 * 4 KB. These are as long, so that nobody puts one where it does not fit. */
const signature = (operation: OperationRecord): string[] => {
  const text = (salt: string, length: number): string => {
    let made = ''
    for (let round = 0; made.length < length; round += 1)
      made += createHash('sha512').update(`${operation.id} ${salt} ${round}`).digest('base64url')
    return made.slice(0, length)
  }
  return [`t=${Date.parse(operation.startTime)}`, `c=${text('c', 2300)}`, `s=${text('s', 340)}`, `h=${text('h', 43)}`]
}

const findOperation = (context: EmulatorContext, request: ArmRequest, service: 'compute' | 'disk'): OperationRecord => {
  const id = param(request, 'operationId')
  const operation = context.state.getOperation(id)
  if (operation === null || operation.service !== service)
    throw new ArmError({ status: 404, code: 'NotFound', message: `The entity was not found: operation ${id}.` })
  return operation
}

const statusBody = (operation: OperationRecord): unknown => ({
  startTime: operation.startTime,
  ...(operation.endTime === undefined ? {} : { endTime: operation.endTime }),
  status: operation.status,
  ...(operation.service === 'disk' && operation.output !== undefined
    ? { properties: { output: operation.output } }
    : {}),
  ...(operation.error === undefined ? {} : { error: operation.error }),
  name: operation.id,
})

/** The Location form: 202 while it runs, then the result itself, or nothing where there is none. */
const monitorReply = (request: ArmRequest, operation: OperationRecord): ArmReply => {
  if (operation.status === 'InProgress')
    return { status: 202, headers: { Location: operationUrl(request, operation, true) } }
  if (operation.error !== undefined) throw new ArmError({ status: 409, ...operation.error })
  return { status: 200, body: operation.output }
}

const statusRoute = (name: string, folder: string, service: 'compute' | 'disk'): Route => ({
  operation: name,
  method: 'GET',
  path: inSubscription(`locations/{location}/${folder}/{operationId}`),
  service,
  handle: (context, request) => {
    const operation = findOperation(context, request, service)
    return request.query.get('monitor') === 'true'
      ? monitorReply(request, operation)
      : { status: 200, body: statusBody(operation) }
  },
})

/** The two places where the state of an operation is asked. */
export const operationStatusRoutes: readonly Route[] = [
  statusRoute('Operations_Get', 'operations', 'compute'),
  statusRoute('DiskOperations_Get', 'DiskOperations', 'disk'),
]
