import { eventType, type HistoryEvent } from './history-event.ts'
import type { HistoryRow } from './store.ts'

const names: Readonly<Record<number, string>> = {
  0: 'ExecutionStarted',
  1: 'ExecutionCompleted',
  3: 'ExecutionTerminated',
  4: 'TaskScheduled',
  5: 'TaskCompleted',
  6: 'TaskFailed',
  7: 'SubOrchestrationInstanceCreated',
  8: 'SubOrchestrationInstanceCompleted',
  9: 'SubOrchestrationInstanceFailed',
  10: 'TimerCreated',
  11: 'TimerFired',
  15: 'EventRaised',
  19: 'ExecutionSuspended',
  20: 'ExecutionResumed',
}

/** Fields that the status API leaves out of every event. */
const hidden = new Set([
  'EventId',
  'IsPlayed',
  'OrchestrationInstance',
  'ParentInstance',
  'Version',
  'TaskScheduledId',
  'TimerId',
])

/** History as `showHistory` shows it: without the marks of turns, schedulings folded into their completions, types by name,
 * results parsed. Without `showOutput` only `Result` is missing, as on the real host. */
export function shownHistory(rows: readonly HistoryRow[], showInput: boolean, showOutput: boolean): unknown[] {
  const events = rows.map((row) => JSON.parse(row.event) as HistoryEvent)
  const scheduled = new Map<number, HistoryEvent>()
  const answered = new Set<number>()
  for (const event of events) {
    if (isScheduling(event)) scheduled.set(event.EventId, event)
    if (isAnswer(event)) answered.add(event.TaskScheduledId as number)
  }
  return events
    .filter((event) => names[event.EventType] !== undefined && !(isScheduling(event) && answered.has(event.EventId)))
    .map((event) => shown(event, scheduled.get(event.TaskScheduledId as number), showInput, showOutput))
}

const isScheduling = (event: HistoryEvent): boolean =>
  event.EventType === eventType.taskScheduled || event.EventType === eventType.subCreated

const isAnswer = (event: HistoryEvent): boolean => event.TaskScheduledId !== undefined

function shown(
  event: HistoryEvent,
  scheduling: HistoryEvent | undefined,
  showInput: boolean,
  showOutput: boolean,
): unknown {
  const view: Record<string, unknown> = {}
  const isStart = event.EventType === eventType.executionStarted
  for (const [key, value] of Object.entries(event)) {
    if (hidden.has(key) || (isStart && (key === 'Name' || key === 'Tags' || (key === 'Input' && !showInput)))) continue
    if (key === 'EventType') view.EventType = names[event.EventType]
    else if (key !== 'Result') view[key] = value
    else if (showOutput) view.Result = shownResult(event)
  }
  if (isStart) view.FunctionName = event.Name
  return isAnswer(event) && scheduling ? { ...view, ...folded(event, scheduling, showInput) } : view
}

function folded(event: HistoryEvent, scheduling: HistoryEvent, showInput: boolean) {
  const isChild = event.EventType === eventType.subCompleted || event.EventType === eventType.subFailed
  return {
    ScheduledTime: scheduling.Timestamp.replace(/Z$/, '+00:00'),
    FunctionName: scheduling.Name,
    ...(isChild ? { InstanceId: scheduling.InstanceId } : {}),
    ...(showInput ? { Input: null } : {}),
  }
}

/** The result of a failed or terminated instance is plain text; every other one is JSON. */
function shownResult(event: HistoryEvent): unknown {
  const { Result: result } = event
  const isText = event.EventType === eventType.executionCompleted && event.OrchestrationStatus !== 'Completed'
  return typeof result !== 'string' || isText ? result : JSON.parse(result)
}
