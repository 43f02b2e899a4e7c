/**
 * History events as the out-of-process protocol carries them: constructors that fix names, defaults and key order.
 * Source: recordings of Microsoft.Azure.WebJobs.Extensions.DurableTask 3.19.0.
 */

/** Numbers of DurableTask.Core's EventType, as far as they occur. */
export const eventType = {
  executionStarted: 0,
  executionCompleted: 1,
  executionTerminated: 3,
  taskScheduled: 4,
  taskCompleted: 5,
  taskFailed: 6,
  subCreated: 7,
  subCompleted: 8,
  subFailed: 9,
  timerCreated: 10,
  timerFired: 11,
  orchestratorStarted: 12,
  orchestratorCompleted: 13,
  eventRaised: 15,
  executionSuspended: 19,
  executionResumed: 20,
} as const

/** Any history event; fields beyond these depend on `EventType`. `Timestamp` is ISO 8601 in UTC. */
export interface HistoryEvent {
  readonly EventType: number
  readonly EventId: number
  readonly IsPlayed: boolean
  readonly Timestamp: string
  readonly [field: string]: unknown
}

export interface OrchestrationInstance {
  readonly InstanceId: string
  readonly ExecutionId: string
}

/** The link of a sub-orchestration to the task of its parent that waits for it. */
export interface ParentInstance {
  readonly Name: string
  readonly OrchestrationInstance: OrchestrationInstance
  readonly TaskScheduleId: number
  readonly Version: null
}

export interface FailureDetails {
  readonly ErrorType: string
  readonly ErrorMessage: string
  readonly StackTrace: string | null
  readonly InnerFailure: unknown
  readonly IsNonRetriable: boolean
  readonly Properties: unknown
}

/** What a failed activity or sub-orchestration reports to the orchestrator that waits for it. */
export interface Failure {
  readonly reason: string
  readonly details: string | null
  readonly failureDetails: FailureDetails | null
}

const sourceInstanceTag = 'MS_DurableFunctions_SourceInstanceId'

/** The instance that an ExecutionStarted event names as the one it was restarted from. */
export const sourceInstanceOf = (started: HistoryEvent | undefined): string | null =>
  (started?.Tags as Readonly<Record<string, string>> | null | undefined)?.[sourceInstanceTag] ?? null

const tail = (timestamp: string, eventId = -1) => ({ EventId: eventId, IsPlayed: false, Timestamp: timestamp })

export const orchestratorStarted = (at: string): HistoryEvent => ({ EventType: 12, ...tail(at) })
export const orchestratorCompleted = (at: string): HistoryEvent => ({ EventType: 13, ...tail(at) })

/** @param input JSON text, or null for none
 * @param generation how often the id was started before; null for sub-orchestrations and after continueAsNew */
export const executionStarted = (
  at: string,
  start: {
    readonly instance: OrchestrationInstance
    readonly name: string
    readonly input: string | null
    readonly parent: ParentInstance | null
    readonly generation: number | null
    /** The instance that this one was restarted from. */
    readonly sourceInstanceId?: string | undefined
  },
): HistoryEvent => ({
  OrchestrationInstance: start.instance,
  EventType: 0,
  ParentInstance: start.parent,
  Name: start.name,
  Version: null,
  Input: start.input,
  Tags: start.sourceInstanceId === undefined ? null : { [sourceInstanceTag]: start.sourceInstanceId },
  Correlation: null,
  ParentTraceContext: null,
  ScheduledStartTime: null,
  Generation: start.generation,
  GenerateNewTrace: false,
  ...tail(at),
})

/** @param status Completed, Failed or Terminated
 * @param result JSON text of a result, the plain text of an error or reason, or null */
export const executionCompleted = (
  at: string,
  status: string,
  result: string | null,
  failureDetails: FailureDetails | null,
): HistoryEvent => ({
  EventType: 1,
  OrchestrationStatus: status,
  Result: result,
  FailureDetails: failureDetails,
  ...tail(at),
})

export const executionTerminated = (at: string, reason: string | null): HistoryEvent => ({
  EventType: 3,
  Input: reason,
  ...tail(at),
})

export const taskScheduled = (at: string, eventId: number, name: string): HistoryEvent => ({
  EventType: 4,
  Name: name,
  Version: '',
  Input: null,
  ParentTraceContext: null,
  Tags: null,
  ...tail(at, eventId),
})

/** @param result JSON text, or null where the activity returned nothing; the field is always present */
export const taskCompleted = (at: string, taskId: number, result: string | null): HistoryEvent => ({
  EventType: 5,
  TaskScheduledId: taskId,
  Result: result,
  ...tail(at),
})

export const taskFailed = (at: string, taskId: number, failure: Failure): HistoryEvent => failed(6, at, taskId, failure)

export const subCreated = (at: string, eventId: number, name: string, instanceId: string): HistoryEvent => ({
  EventType: 7,
  Name: name,
  Version: null,
  InstanceId: instanceId,
  Input: null,
  ClientSpanId: null,
  Tags: null,
  ...tail(at, eventId),
})

export const subCompleted = (at: string, taskId: number, result: string | null): HistoryEvent => ({
  EventType: 8,
  TaskScheduledId: taskId,
  Result: result,
  ...tail(at),
})

export const subFailed = (at: string, taskId: number, failure: Failure): HistoryEvent => failed(9, at, taskId, failure)

export const timerCreated = (at: string, eventId: number, fireAt: string): HistoryEvent => ({
  EventType: 10,
  FireAt: fireAt,
  ...tail(at, eventId),
})

/** @param createdAt when the timer was made, not when it fired: so the real engine stamps it */
export const timerFired = (createdAt: string, timerId: number, fireAt: string): HistoryEvent => ({
  EventType: 11,
  TimerId: timerId,
  FireAt: fireAt,
  ...tail(createdAt),
})

/** @param input JSON text as the sender wrote it */
export const eventRaised = (at: string, name: string, input: string): HistoryEvent => ({
  EventType: 15,
  Name: name,
  Input: input,
  ParentTraceContext: null,
  ...tail(at),
})

export const executionSuspended = (at: string, reason: string | null): HistoryEvent => ({
  EventType: 19,
  Reason: reason,
  ...tail(at),
})

export const executionResumed = (at: string, reason: string | null): HistoryEvent => ({
  EventType: 20,
  Reason: reason,
  ...tail(at),
})

const failed = (type: number, at: string, taskId: number, failure: Failure): HistoryEvent => ({
  EventType: type,
  TaskScheduledId: taskId,
  Reason: failure.reason,
  Details: failure.details,
  FailureDetails: failure.failureDetails,
  ...tail(at),
})
