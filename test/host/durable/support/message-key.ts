import { eventType, type HistoryEvent } from '../../../../local/host/durable/history-event.ts'

/** Names a received event alike in a recording and in a run: by what it answers, or by its name. */
export function eventKey(event: HistoryEvent): string {
  switch (event.EventType) {
    case eventType.taskCompleted:
    case eventType.taskFailed:
    case eventType.subCompleted:
    case eventType.subFailed:
      return `answer ${event.TaskScheduledId}`
    case eventType.timerFired:
      return `timer ${event.TimerId}`
    case eventType.eventRaised:
      return `event ${event.Name} ${JSON.stringify(event.Input)}`
    default:
      return `type ${event.EventType}`
  }
}

const own: ReadonlySet<number> = new Set([
  eventType.taskScheduled,
  eventType.subCreated,
  eventType.timerCreated,
  eventType.orchestratorStarted,
  eventType.orchestratorCompleted,
])

/** What the turn that a recorded trigger began had received, in order. */
export function receivedEvents(history: readonly HistoryEvent[]): HistoryEvent[] {
  const start = history.findLastIndex((event) => event.EventType === eventType.orchestratorStarted)
  return history.slice(start).filter((event) => !own.has(event.EventType))
}

/** A stored message is one event, or the start of a continued generation: three. */
export function messageKey(text: string): string {
  const parsed: HistoryEvent | HistoryEvent[] = JSON.parse(text)
  return eventKey(Array.isArray(parsed) ? (parsed[1] as HistoryEvent) : parsed)
}
