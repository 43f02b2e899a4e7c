import { shownHistory } from './history-view.ts'
import { emptyReply, jsonReply, type Reply } from './http-reply.ts'
import { type InstanceRow, isLive, type Store } from './store.ts'

/** The status of one instance as the Durable HTTP API shows it; keys in their order, times cut to seconds. */
export function statusBody(row: InstanceRow, showInput: boolean) {
  return {
    name: row.name,
    instanceId: row.instance_id,
    runtimeStatus: row.status,
    input: showInput ? parsed(row.input) : null,
    customStatus: parsed(row.custom_status),
    output: parsed(row.output),
    createdTime: wholeSeconds(row.created_ms),
    lastUpdatedTime: wholeSeconds(row.updated_ms),
  }
}

/** 200 for an instance that has ended, 202 with the place to ask again for a live one, 404 for none.
 * @param ownUrl the URL that was asked for, decoded */
export function statusReply(store: Store, instanceId: string, query: URLSearchParams, ownUrl: string): Reply {
  const row = store.instance(instanceId)
  if (!row) return emptyReply(404)
  const showInput = isNotFalse(query.get('showInput'))
  const body = statusBody(row, showInput)
  const full = isTrue(query.get('showHistory'))
    ? {
        ...body,
        historyEvents: shownHistory(store.history(row.execution_id), showInput, isTrue(query.get('showHistoryOutput'))),
      }
    : body
  if (isLive(row.status)) return jsonReply(202, full, { location: ownUrl, 'retry-after': '5' })
  const asError = row.status === 'Failed' && isTrue(query.get('returnInternalServerErrorOnFailure'))
  return jsonReply(asError ? 500 : 200, full)
}

const isTrue = (value: string | null): boolean => value?.toLowerCase() === 'true'
export const isNotFalse = (value: string | null): boolean => value?.toLowerCase() !== 'false'

const parsed = (json: string | null): unknown => (json === null || json.trim() === '' ? null : JSON.parse(json))
const wholeSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
