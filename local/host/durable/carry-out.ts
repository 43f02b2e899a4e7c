import { randomUUID } from 'node:crypto'
import * as hazards from './hazards.ts'
import {
  type HistoryEvent,
  type ParentInstance,
  subCreated,
  taskScheduled,
  timerCreated,
  timerFired,
} from './history-event.ts'
import { replaceInstance } from './replace-instance.ts'
import type { Decision } from './replay-state.ts'
import { type HistoryRow, type InstanceRow, isLive, type Store } from './store.ts'

/** What has to be done once the transaction is kept. */
export interface Aftermath {
  readonly notices: { readonly instanceId: string; readonly dueMs: number }[]
  readonly activityIds: number[]
  readonly rows: HistoryRow[]
}

/** A child was to be started under the id of a live instance; thrown inside the transaction, which is then undone. */
export class ChildIdInUse extends Error {
  override readonly name = 'ChildIdInUse'

  constructor(instanceId: string, status: string) {
    super(hazards.childIdInUse(instanceId, status))
  }
}

/** Writes down a new decision and what it sets going: an activity run, a child's start, a timer's message. Inside the
 * turn's transaction.
 * @param deliveryMs when a timer's message is due
 * @throws ChildIdInUse */
export function carryOut(
  store: Store,
  deliveryMs: (fireAtMs: number) => number,
  instance: InstanceRow,
  decision: Decision,
  after: Aftermath,
): void {
  const at = timestamp()
  switch (decision.kind) {
    case 'activity': {
      after.rows.push(ownRow(taskScheduled(at, decision.id, decision.name)))
      const { instance_id, execution_id } = instance
      const input = activityInput(decision.action.input)
      const id = store.putActivity({
        instance_id,
        execution_id,
        task_id: decision.id,
        name: decision.name,
        input,
      })
      after.activityIds.push(id)
      return
    }
    case 'sub':
      after.rows.push(ownRow(subCreated(at, decision.id, decision.name, decision.instanceId)))
      startChild(store, instance, decision, after)
      return
    case 'timer': {
      after.rows.push(ownRow(timerCreated(at, decision.id, decision.fireAt)))
      const dueMs = deliveryMs(Date.parse(decision.fireAt))
      const event = JSON.stringify(timerFired(at, decision.id, decision.fireAt))
      const { instance_id: instanceId, execution_id: executionId } = instance
      store.putMessage({ instanceId, executionId, timerId: decision.id, dueMs, event })
      after.notices.push({ instanceId, dueMs })
      return
    }
    default:
      decision satisfies never
  }
}

function startChild(
  store: Store,
  parent: InstanceRow,
  decision: Extract<Decision, { kind: 'sub' }>,
  after: Aftermath,
): void {
  const link: ParentInstance = {
    Name: parent.name,
    OrchestrationInstance: { InstanceId: parent.instance_id, ExecutionId: parent.execution_id },
    TaskScheduleId: decision.id,
    Version: null,
  }
  const { input } = decision.action
  const other = store.instance(decision.instanceId)
  if (other && isLive(other.status)) throw new ChildIdInUse(decision.instanceId, other.status)
  replaceInstance(store, {
    instanceId: decision.instanceId,
    executionId: shortId(),
    name: decision.name,
    input: input === undefined || input === null ? null : JSON.stringify(input),
    parent: link,
    generation: null,
  })
  after.notices.push({ instanceId: decision.instanceId, dueMs: Date.now() })
}

/** A boolean reaches an activity as .NET writes it; a string action input is JSON text already; null is no value at all.
 * Source: recordings. */
function activityInput(input: unknown): string | null {
  if (input === undefined || input === null) return null
  if (typeof input === 'string') return input
  if (typeof input === 'boolean') return input ? 'True' : 'False'
  return JSON.stringify(input)
}

/** An event that this turn made itself; such events are never shown as played. */
export const ownRow = (event: HistoryEvent): HistoryRow => ({ received: 0, event: JSON.stringify(event) })

/** Now, as events carry it. */
export const timestamp = (): string => new Date().toISOString()
/** An id as the real engine makes them for executions that no client started. */
export const shortId = (): string => randomUUID().replaceAll('-', '')
