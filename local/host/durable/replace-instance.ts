import { executionStarted, type ParentInstance } from './history-event.ts'
import type { Store } from './store.ts'

/** Makes an id Pending with one start message, forgetting all that an earlier execution left under it. Call it inside a
 * transaction, for an id that is not live.
 * @param start.input JSON text or null */
export function replaceInstance(
  store: Store,
  start: {
    readonly instanceId: string
    readonly executionId: string
    readonly name: string
    readonly input: string | null
    readonly parent: ParentInstance | null
    readonly generation: number | null
    readonly sourceInstanceId?: string | undefined
  },
): void {
  const { instanceId, executionId, name, input, parent, generation, sourceInstanceId } = start
  const old = store.instance(instanceId)
  if (old) store.deleteHistory(old.execution_id)
  store.deleteMessages(instanceId)
  const nowMs = Date.now()
  store.putInstance({
    instance_id: instanceId,
    execution_id: executionId,
    name,
    status: 'Pending',
    input,
    output: null,
    custom_status: null,
    created_ms: nowMs,
    updated_ms: nowMs,
    generation,
    parent: parent && JSON.stringify(parent),
  })
  const instance = { InstanceId: instanceId, ExecutionId: executionId }
  const event = executionStarted(new Date(nowMs).toISOString(), {
    instance,
    name,
    input,
    parent,
    generation,
    sourceInstanceId,
  })
  store.putMessage({ instanceId, executionId, timerId: null, dueMs: nowMs, event: JSON.stringify(event) })
}
