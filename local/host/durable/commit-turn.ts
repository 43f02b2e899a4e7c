import { type Aftermath, carryOut, ownRow, shortId, timestamp } from './carry-out.ts'
import type { Conclusion, Ended } from './conclusion.ts'
import {
  eventType,
  executionCompleted,
  executionStarted,
  type HistoryEvent,
  orchestratorCompleted,
  orchestratorStarted,
  type ParentInstance,
  subCompleted,
  subFailed,
} from './history-event.ts'
import type { ReplayOutcome } from './replay.ts'
import { type HistoryRow, type InstanceRow, isLive, type Store } from './store.ts'
import type { Turn, TurnContext } from './turn-context.ts'

/** Keeps everything that follows from a turn, in one transaction; then tells the scheduler and the dispatcher.
 * @throws ChildIdInUse, having changed nothing */
export function commitTurn(context: TurnContext, turn: Turn, conclusion: Conclusion): void {
  const { store, cache } = context
  const { instance } = turn
  const seq = cache.get(instance.execution_id).texts.length
  const after: Aftermath = { notices: [], activityIds: [], rows: turn.events.map(receivedRow) }
  const kept = store.transaction(() => {
    for (const message of turn.messages) store.deleteMessage(message.id)
    const now = store.instance(instance.instance_id)
    if (!now || now.execution_id !== instance.execution_id || !isLive(now.status)) return false
    conclude(context, turn, conclusion, after)
    if (conclusion.kind !== 'continued') store.appendHistory(instance.execution_id, seq, after.rows)
    return true
  })
  if (!kept) return
  if (conclusion.kind === 'running') cache.append(instance.execution_id, after.rows)
  else cache.forget(instance.execution_id)
  for (const { instanceId, dueMs } of after.notices) context.notice(instanceId, dueMs)
  for (const id of after.activityIds) context.dispatchActivity(id)
  report(context, turn, conclusion)
}

function conclude(context: TurnContext, turn: Turn, conclusion: Conclusion, after: Aftermath): void {
  switch (conclusion.kind) {
    case 'running':
      keepRunning(context, turn, conclusion.outcome, conclusion.customStatusJson, after)
      return
    case 'continued':
      continueAsNew(context.store, turn.instance, conclusion.inputJson, conclusion.customStatusJson, after)
      return
    case 'ended':
      end(context.store, turn.instance, conclusion, after)
      return
    default:
      conclusion satisfies never
  }
}

function keepRunning(
  context: TurnContext,
  turn: Turn,
  outcome: ReplayOutcome,
  customStatusJson: string | null,
  after: Aftermath,
): void {
  const { store } = context
  const { instance } = turn
  const { suspended } = outcome
  if (!suspended)
    for (const decision of outcome.decisions) carryOut(store, context.deliveryMs, instance, decision, after)
  for (const id of outcome.cancelledTimerIds) store.deleteTimer(instance.instance_id, instance.execution_id, id)
  after.rows.push(ownRow(orchestratorCompleted(timestamp())))
  const reason = lastSuspendReason(turn.events)
  store.putInstance({
    ...instance,
    status: suspended ? 'Suspended' : 'Running',
    output: suspended ? (reason === undefined ? instance.output : textJson(reason)) : null,
    custom_status: customStatusJson,
    updated_ms: Date.now(),
  })
}

/** The new generation starts with the events that the real engine writes at once: turn begun, started, turn ended. */
function continueAsNew(
  store: Store,
  instance: InstanceRow,
  input: string | null,
  customStatusJson: string | null,
  after: Aftermath,
): void {
  const executionId = shortId()
  const instanceId = instance.instance_id
  const nowMs = Date.now()
  const at = new Date(nowMs).toISOString()
  store.deleteHistory(instance.execution_id)
  store.deleteMessages(instanceId, instance.execution_id)
  store.putInstance({
    ...instance,
    execution_id: executionId,
    status: 'Running',
    input,
    output: null,
    custom_status: customStatusJson,
    created_ms: nowMs,
    updated_ms: nowMs,
    generation: null,
  })
  const started = executionStarted(at, {
    instance: { InstanceId: instanceId, ExecutionId: executionId },
    name: instance.name,
    input,
    parent: instance.parent === null ? null : JSON.parse(instance.parent),
    generation: null,
  })
  const event = JSON.stringify([orchestratorStarted(at), started, orchestratorCompleted(at)])
  // Due before anything else that waits for this id: the start of a generation is its first event.
  store.putMessage({ instanceId, executionId, timerId: null, dueMs: 0, event })
  after.notices.push({ instanceId, dueMs: nowMs })
}

function end(store: Store, instance: InstanceRow, ended: Ended, after: Aftermath): void {
  const at = timestamp()
  after.rows.push(
    ownRow(executionCompleted(at, ended.status, ended.result, ended.failure?.failureDetails ?? null)),
    ownRow(orchestratorCompleted(at)),
  )
  store.deleteMessages(instance.instance_id)
  const output = ended.status === 'Completed' ? ended.output : textJson(ended.output)
  store.putInstance({
    ...instance,
    status: ended.status,
    output,
    custom_status: ended.customStatusJson,
    updated_ms: Date.now(),
  })
  if (instance.parent === null) return
  const parent: ParentInstance = JSON.parse(instance.parent)
  const { InstanceId: instanceId, ExecutionId: executionId } = parent.OrchestrationInstance
  const event = ended.failure
    ? subFailed(at, parent.TaskScheduleId, ended.failure)
    : subCompleted(at, parent.TaskScheduleId, ended.result)
  const dueMs = Date.now()
  store.putMessage({ instanceId, executionId, timerId: null, dueMs, event: JSON.stringify(event) })
  after.notices.push({ instanceId, dueMs })
}

function report(context: TurnContext, turn: Turn, conclusion: Conclusion): void {
  const { instance_id: instanceId, name } = turn.instance
  if (turn.events.some((event) => event.EventType === eventType.executionStarted))
    context.log({ kind: 'instanceStarted', instanceId, name })
  if (conclusion.kind === 'continued') context.log({ kind: 'instanceContinued', instanceId, name })
  if (conclusion.kind !== 'ended') return
  if (conclusion.refusal !== undefined) context.log({ kind: 'refused', instanceId, name, message: conclusion.refusal })
  context.log({ kind: 'instanceEnded', instanceId, name, status: conclusion.status })
}

function lastSuspendReason(events: readonly HistoryEvent[]): string | null | undefined {
  const suspended = events.findLast((event) => event.EventType === eventType.executionSuspended)
  return suspended && (suspended.Reason as string | null)
}

/** Received events are shown as played later; so is the end of turn that a continued generation brings along. */
const receivedRow = (event: HistoryEvent): HistoryRow => ({
  received: event.EventType === eventType.orchestratorStarted ? 0 : 1,
  event: JSON.stringify(event),
})

const textJson = (text: string | null): string | null => (text === null ? null : JSON.stringify(text))
