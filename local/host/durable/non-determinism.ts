import { eventType, type HistoryEvent } from './history-event.ts'

/** What a replay scheduled under one number: enough to compare it with what an earlier turn recorded there. */
export interface ScheduledKind {
  readonly kind: 'activity' | 'sub' | 'timer'
  readonly name: string
}

const question = 'Was a change made to the orchestrator code after this instance had already started running?'
const prefix = 'Non-Deterministic workflow detected: A previous execution of this orchestration scheduled'
const actionNames = {
  activity: 'ScheduleTaskOrchestratorAction',
  timer: 'CreateTimerOrchestratorAction',
  sub: 'CreateSubOrchestrationAction',
} as const

/** Compares a recorded decision (events 4, 7, 10) with what the code of today schedules under the same number.
 * @returns undefined if they agree, else the message of DurableTask.Core's TaskOrchestrationContext, odd blanks included */
export function nonDeterminism(recorded: HistoryEvent, replayed: ScheduledKind | undefined): string | undefined {
  if (recorded.EventType === eventType.taskScheduled) return activityMismatch(recorded, replayed)
  if (recorded.EventType === eventType.subCreated) return subMismatch(recorded, replayed)
  return timerMismatch(recorded, replayed)
}

function activityMismatch(recorded: HistoryEvent, replayed: ScheduledKind | undefined): string | undefined {
  const { EventId: id, Name: name, Version: version } = recorded
  if (!replayed)
    return `${prefix} an activity task with sequence ID ${id} and name '${name}' (version '${version}'), but the current replay execution hasn't (yet?) scheduled this task. ${question}`
  if (replayed.kind !== 'activity')
    return `${prefix} an activity task with sequence number ${id} named '${name}', but the current orchestration replay instead produced a ${actionNames[replayed.kind]} action with this sequence number. ${question}`
  if (!sameName(name, replayed.name))
    return `${prefix} an activity task with sequence number ${id} named '${name}', but the current orchestration replay instead scheduled an activity task named '${replayed.name}' with this sequence number.  ${question}`
  return undefined
}

function subMismatch(recorded: HistoryEvent, replayed: ScheduledKind | undefined): string | undefined {
  const { EventId: id, Name: name, InstanceId: instanceId, Version: version } = recorded
  if (!replayed)
    return `${prefix} a sub-orchestration task with sequence ID ${id} and name '${name}' (version '${version ?? ''}', instance ID '${instanceId}'), but the current replay execution hasn't (yet?) scheduled this task. ${question}`
  if (replayed.kind !== 'sub')
    return `${prefix} a sub-orchestration task with sequence ID ${id} and name '${name}' (version '${version ?? ''}', instance ID '${instanceId}'), but the current orchestration replay instead produced a ${actionNames[replayed.kind]} action with this sequence number. ${question}`
  if (!sameName(name, replayed.name))
    return `${prefix} a sub-orchestration task with sequence ID ${id} and name '${name}' (version '${version ?? ''}', instance ID '${instanceId}'), but the current orchestration replay instead scheduled a sub-orchestration task with name '${replayed.name}' at this sequence number.  ${question}`
  return undefined
}

function timerMismatch(recorded: HistoryEvent, replayed: ScheduledKind | undefined): string | undefined {
  const { EventId: id } = recorded
  if (!replayed)
    return `${prefix} a timer task with sequence ID ${id}, but the current replay execution hasn't (yet?) scheduled this task. ${question}`
  if (replayed.kind !== 'timer')
    return `${prefix} a timer task with sequence number ${id} named but the current orchestration replay instead produced a ${actionNames[replayed.kind]} action with this sequence number. ${question}`
  return undefined
}

const sameName = (recorded: unknown, replayed: string): boolean =>
  String(recorded).toLowerCase() === replayed.toLowerCase()
