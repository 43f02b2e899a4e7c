import { type Action, actionType, flatten, isCompound } from './actions.ts'
import * as hazards from './hazards.ts'
import { eventType, type HistoryEvent } from './history-event.ts'
import { settle } from './host-task.ts'
import { nonDeterminism } from './non-determinism.ts'
import { type Decision, newReplayState, type ReplayLimits, type ReplayState } from './replay-state.ts'
import { proceed } from './schedule.ts'

/** How far the engine comes with an answer, given everything that has happened so far. */
export interface ReplayOutcome {
  /** Decisions that no earlier turn recorded, in order of their numbers. */
  readonly decisions: readonly Decision[]
  /** The greatest new number inside Task.all or Task.any, if something there looks like what was scheduled before. */
  readonly suspectedTwin: Decision | undefined
  readonly cancelledTimerIds: readonly number[]
  /** Every action was gone through; what the orchestrator returned or threw may now count. */
  readonly finished: boolean
  readonly openTasks: number
  readonly suspended: boolean
  readonly terminated: { readonly reason: string | null } | undefined
  readonly continueAsNew: { readonly input: unknown } | undefined
  /** Messages to fail the instance with at once. */
  readonly refusal: string | undefined
  readonly nonDeterminism: string | undefined
  /** No open task, and no event that is waited for can still be missing: nothing wakes this orchestrator again. */
  readonly stuck: boolean
}

/**
 * Goes through the actions of an answer as the extension does: one after the other, each to its end, Task.all to the end of
 * all its parts; feeding it the history, received events in their order. Numbers are given in order of scheduling: the
 * library counts alike, which is all that ties an action to its result.
 * Source: recordings, and OutOfProcOrchestrationShim / TaskOrchestrationExecutor of the real engine.
 * @param history all events of the execution, those of this turn included
 */
export function replay(
  history: readonly HistoryEvent[],
  actions: readonly Action[],
  executionId: string,
  limits: ReplayLimits,
): ReplayOutcome {
  const state = newReplayState(actions, executionId, limits)
  for (const event of history) {
    if (state.refusal !== undefined || state.nonDeterminism !== undefined || state.terminated) break
    apply(state, event)
  }
  return outcomeOf(state)
}

function outcomeOf(state: ReplayState): ReplayOutcome {
  const decisions = [...state.unmatched.values()].sort((a, b) => a.id - b.id)
  const finished = state.position === state.actions.length && (state.current === undefined || state.current.settled)
  return {
    decisions,
    suspectedTwin: suspectedTwin(state, decisions),
    cancelledTimerIds: state.cancelledTimerIds,
    finished,
    openTasks: state.open.size,
    suspended: state.suspended,
    terminated: state.terminated,
    continueAsNew: state.continueAsNew,
    refusal: state.refusal ?? caughtWhileRetrying(state),
    nonDeterminism: state.nonDeterminism,
    stuck: finished && state.open.size === 0 && !state.suspended && !mayStillGetAnEvent(state),
  }
}

function apply(state: ReplayState, event: HistoryEvent): void {
  switch (event.EventType) {
    case eventType.orchestratorStarted:
      state.nowMs = Math.max(state.nowMs, Date.parse(event.Timestamp))
      return
    case eventType.taskScheduled:
    case eventType.subCreated:
    case eventType.timerCreated:
      state.nonDeterminism ??= nonDeterminism(event, state.unmatched.get(event.EventId))
      state.unmatched.delete(event.EventId)
      return
    case eventType.executionTerminated:
      state.terminated = { reason: event.Input as string | null }
      return
    case eventType.executionSuspended:
      state.suspended = true
      return
    case eventType.executionResumed:
      state.suspended = false
      for (const held of state.heldBack.splice(0)) receive(state, held)
      return
    default:
      if (state.suspended) state.heldBack.push(event)
      else receive(state, event)
  }
}

function receive(state: ReplayState, event: HistoryEvent): void {
  switch (event.EventType) {
    case eventType.executionStarted:
      proceed(state)
      return
    case eventType.taskCompleted:
    case eventType.subCompleted:
      settleOpen(state, event.TaskScheduledId as number, false)
      return
    case eventType.timerFired:
      settleOpen(state, event.TimerId as number, false)
      return
    case eventType.taskFailed:
    case eventType.subFailed:
      fail(state, event)
      return
    case eventType.eventRaised:
      raise(state, event.Name as string)
      return
    default:
      return
  }
}

function settleOpen(state: ReplayState, id: number, failed: boolean): void {
  const open = state.open.get(id)
  if (!open) return
  state.open.delete(id)
  settle(open.task, failed)
}

function fail(state: ReplayState, event: HistoryEvent): void {
  const id = event.TaskScheduledId as number
  const open = state.open.get(id)
  const details = event.FailureDetails as { readonly IsNonRetriable?: boolean } | null
  if (open?.underRetry && details?.IsNonRetriable) state.refusal ??= hazards.nonRetriableWithRetry(open.decision.name)
  settleOpen(state, id, true)
}

/** The newest waiter of a name gets the event; without a waiter it is kept for the next one. */
function raise(state: ReplayState, name: string): void {
  state.eventCounts.set(name, (state.eventCounts.get(name) ?? 0) + 1)
  const key = name.toLowerCase()
  const waiter = state.waiting.get(key)?.pop()
  if (waiter) settle(waiter, false)
  else state.buffered.set(key, (state.buffered.get(key) ?? 0) + 1)
}

/** The library is past a Task.all that the host still waits for: harmless only while no part of it can take a number. */
function caughtWhileRetrying(state: ReplayState): string | undefined {
  if (!state.current || state.current.settled || state.terminated) return undefined
  const blocked = state.actions[state.position - 1]
  const later = state.actions.slice(state.position).some((action) => action.actionType !== actionType.continueAsNew)
  if (!later || !blocked || !isCompound(blocked)) return undefined
  if (![...state.open.values()].some((open) => open.underRetry)) return undefined
  const named = [...flatten([blocked])].find((action) => action.retryOptions !== undefined)
  return hazards.caughtWhileRetrying(named?.functionName ?? 'a task')
}

function suspectedTwin(state: ReplayState, decisions: readonly Decision[]): Decision | undefined {
  const fresh = decisions.filter((decision) => decision.action && state.inCompound.has(decision.id))
  if (fresh.length === 0) return undefined
  const counts = new Map<string, number>()
  for (const action of flatten(state.actions)) {
    const text = JSON.stringify(action)
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return fresh.some(({ action }) => (counts.get(JSON.stringify(action)) ?? 0) > 1) ? fresh.at(-1) : undefined
}

/** By exact name, as the library waits: it may miss a dead end, but never calls a living orchestrator dead. */
function mayStillGetAnEvent(state: ReplayState): boolean {
  const waits = new Map<string, number>()
  for (const action of flatten(state.actions)) {
    if (action.actionType !== actionType.waitForExternalEvent) continue
    const name = action.externalEventName ?? ''
    waits.set(name, (waits.get(name) ?? 0) + 1)
  }
  return [...waits].some(([name, count]) => count > (state.eventCounts.get(name) ?? 0))
}
