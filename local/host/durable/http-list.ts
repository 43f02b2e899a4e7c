import type { ClientOperations } from './client-operations.ts'
import { emptyReply, errorReply, jsonReply, type Reply } from './http-reply.ts'
import { isNotFalse, statusBody } from './http-status.ts'
import type { InstanceFilter, Store } from './store.ts'

const tokenHeader = 'x-ms-continuation-token'
const pageRowsDefault = 100
const pageRowsMax = 1000
const knownStatuses = new Set([
  'Running',
  'Completed',
  'ContinuedAsNew',
  'Failed',
  'Canceled',
  'Terminated',
  'Pending',
  'Suspended',
])

/** A page of instances in order of their ids, with a token for the next page, empty at the end.
 * @param token what an earlier page gave, or undefined */
export function listReply(store: Store, query: URLSearchParams, token: string | undefined): Reply {
  const top = Number.parseInt(query.get('top') ?? '', 10)
  if (top < 0)
    return errorReply(
      500,
      'Something went wrong while processing your request',
      'top must not be negative',
      'System.ArgumentException',
    )
  const limit = Math.min(Number.isNaN(top) ? pageRowsDefault : top, pageRowsMax)
  const from = token?.trim() ? { fromId: Buffer.from(token, 'base64').toString('utf8') } : {}
  const rows = store.listInstances({ ...filterOf(query), ...from }, limit + 1)
  const next = rows[limit]?.instance_id
  const showInput = isNotFalse(query.get('showInput'))
  return jsonReply(
    200,
    rows.slice(0, limit).map((row) => statusBody(row, showInput)),
    { [tokenHeader]: next === undefined ? '' : Buffer.from(next, 'utf8').toString('base64') },
  )
}

/** Purges what has ended and was created in the time that is named; the start of that time is required. */
export function purgeAllReply(operations: ClientOperations, query: URLSearchParams): Reply {
  const filter = filterOf(query)
  if (filter.createdFromMs === undefined) return jsonReply(400, "Please provide value for 'createdTimeFrom' parameter.")
  const instancesDeleted = operations.purgeAll(filter)
  return instancesDeleted === 0 ? emptyReply(404) : jsonReply(200, { instancesDeleted })
}

export const continuationToken = (
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string | undefined => {
  const value = headers[tokenHeader]
  return Array.isArray(value) ? value[0] : value
}

/** Times that are none and statuses that do not exist are passed over, as the real endpoint does. */
function filterOf(query: URLSearchParams): InstanceFilter {
  const createdFromMs = Date.parse(query.get('createdTimeFrom') ?? '')
  const createdToMs = Date.parse(query.get('createdTimeTo') ?? '')
  const statuses = query
    .getAll('runtimeStatus')
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => knownStatuses.has(value))
  const idPrefix = query.get('instanceIdPrefix') ?? ''
  return {
    ...(Number.isNaN(createdFromMs) ? {} : { createdFromMs }),
    ...(Number.isNaN(createdToMs) ? {} : { createdToMs }),
    ...(statuses.length > 0 ? { statuses } : {}),
    ...(idPrefix === '' ? {} : { idPrefix }),
  }
}
