import type { EngineEvent } from './durable/engine-event.ts'
import type { LogEntry, LogSink } from './log.ts'

/** Longest part of an error that goes to the log. */
const reasonCharactersMax = 500

const entryOf = (event: EngineEvent): Pick<LogEntry, 'level' | 'message'> => {
  switch (event.kind) {
    case 'instanceStarted':
      return { level: 'information', message: `${event.name} ${event.instanceId} started.` }
    case 'instanceContinued':
      return { level: 'debug', message: `${event.name} ${event.instanceId} continued as new.` }
    case 'instanceEnded': {
      const level = event.status === 'Completed' ? 'information' : 'warning'
      return { level, message: `${event.name} ${event.instanceId} ended: ${event.status}.` }
    }
    case 'refused':
      return { level: 'error', message: `${event.name} ${event.instanceId} refused: ${event.message}` }
    case 'activityFailed': {
      const reason = event.reason.slice(0, reasonCharactersMax)
      return { level: 'warning', message: `${event.name} of ${event.instanceId} failed: ${reason}` }
    }
    case 'turnPostponed':
      return { level: 'warning', message: `A turn of ${event.instanceId} is postponed: ${event.reason}` }
    default:
      return event satisfies never
  }
}

/** Puts what the engine tells into the host's log, as category `Host.Durable`. */
export const engineLog =
  (onLog: LogSink): ((event: EngineEvent) => void) =>
  (event) =>
    onLog({ category: 'Host.Durable', ...entryOf(event) })
