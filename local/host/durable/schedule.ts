import { type Action, actionType, type RetryOptions, unsupportedFeatures } from './actions.ts'
import * as hazards from './hazards.ts'
import { type HostTask, newTask, settle, settledTask, whenSettled } from './host-task.ts'
import type { Decision, ReplayState } from './replay-state.ts'
import { retryDelayMs } from './retry.ts'

/** Begins the actions one after the other, each when the one before has settled, whether well or badly: so the extension
 * goes through an answer. Stops at the first that does not settle at once, and goes on when it does. */
export function proceed(state: ReplayState): void {
  while (state.position < state.actions.length && state.refusal === undefined) {
    const action = state.actions[state.position++] as Action
    state.current = begin(state, action, { inCompound: false, underRetry: false })
    if (!state.current.settled) {
      whenSettled(state.current, () => proceed(state))
      return
    }
  }
}

interface Place {
  readonly inCompound: boolean
  readonly underRetry: boolean
}

function begin(state: ReplayState, action: Action, place: Place): HostTask {
  switch (action.actionType) {
    case actionType.callActivity:
    case actionType.callSubOrchestrator:
      return schedule(state, action, place)
    case actionType.callActivityWithRetry:
    case actionType.callSubOrchestratorWithRetry:
      return scheduleWithRetry(state, action, place)
    case actionType.createTimer:
      return beginTimer(state, action, place)
    case actionType.waitForExternalEvent:
      return beginWait(state, action.externalEventName ?? '')
    case actionType.whenAll:
    case actionType.whenAny:
      return beginCompound(state, action)
    case actionType.continueAsNew:
      state.continueAsNew = { input: action.input }
      return settledTask()
    default:
      state.refusal ??= hazards.unsupported(unsupportedFeatures[action.actionType] ?? `action ${action.actionType}`)
      return settledTask()
  }
}

function schedule(state: ReplayState, action: Action, place: Place): HostTask {
  const id = state.nextId++
  const name = action.functionName ?? ''
  const isSub =
    action.actionType === actionType.callSubOrchestrator ||
    action.actionType === actionType.callSubOrchestratorWithRetry
  const decision: Decision = isSub
    ? { kind: 'sub', id, name, action, instanceId: action.instanceId || `${state.executionId}:${id}` }
    : { kind: 'activity', id, name, action }
  return openTask(state, decision, place)
}

/** A retry takes one number for the timer when the failure is known and one when the timer has fired. */
function scheduleWithRetry(state: ReplayState, action: Action, place: Place): HostTask {
  const options = action.retryOptions as RetryOptions
  if (options.retryTimeoutInMilliseconds != null) state.refusal ??= hazards.retryTimeout(action.functionName ?? '')
  const retried = { ...place, underRetry: true }
  const whole = newTask()
  const attempt = (failuresBefore: number): void => {
    const run = schedule(state, action, retried)
    whenSettled(run, () => {
      if (!run.failed) return settle(whole, false)
      const failures = failuresBefore + 1
      const timer = createTimer(state, state.nowMs + retryDelayMs(options, failures), retried)
      whenSettled(timer, () => (failures < options.maxNumberOfAttempts ? attempt(failures) : settle(whole, true)))
    })
  }
  attempt(0)
  return whole
}

function beginTimer(state: ReplayState, action: Action, place: Place): HostTask {
  const { maximumShortTimerMs, longRunningTimerIntervalMs } = state.limits
  const fireAtMs = Date.parse(action.fireAt ?? '')
  if (fireAtMs - state.nowMs <= maximumShortTimerMs) return shortTimer(state, action, fireAtMs, place)
  if (place.inCompound) state.refusal ??= hazards.longTimerInCompound(maximumShortTimerMs)
  const whole = newTask()
  const part = (): void => {
    const isLast = fireAtMs - state.nowMs <= maximumShortTimerMs
    const timer = createTimer(state, isLast ? fireAtMs : state.nowMs + longRunningTimerIntervalMs, place)
    whenSettled(timer, () => (state.nowMs < fireAtMs ? part() : settle(whole, false)))
  }
  part()
  return whole
}

/** A cancelled timer counts as over from the moment it is made, in every later replay: so the extension does it. */
function shortTimer(state: ReplayState, action: Action, fireAtMs: number, place: Place): HostTask {
  const id = state.nextId
  const timer = createTimer(state, fireAtMs, place, action)
  if (action.isCanceled) {
    state.open.delete(id)
    state.cancelledTimerIds.push(id)
    settle(timer, true)
  }
  return timer
}

function createTimer(state: ReplayState, fireAtMs: number, place: Place, action?: Action): HostTask {
  const fireAt = new Date(fireAtMs).toISOString()
  const timer = { kind: 'timer', id: state.nextId++, name: 'timer', fireAt } as const
  return openTask(state, action ? { ...timer, action } : timer, place)
}

function openTask(state: ReplayState, decision: Decision, place: Place): HostTask {
  const task = newTask()
  state.open.set(decision.id, { task, decision, underRetry: place.underRetry })
  state.unmatched.set(decision.id, decision)
  if (place.inCompound) state.inCompound.add(decision.id)
  return task
}

/** Event names are compared without case here, as the real host does; the library compares them exactly. */
function beginWait(state: ReplayState, name: string): HostTask {
  const key = name.toLowerCase()
  const inStock = state.buffered.get(key) ?? 0
  if (inStock > 0) {
    state.buffered.set(key, inStock - 1)
    return settledTask()
  }
  const task = newTask()
  const waiting = state.waiting.get(key)
  if (waiting) waiting.push(task)
  else state.waiting.set(key, [task])
  return task
}

/** Task.any ends with its first part, well or badly; Task.all only when all have ended, though the library fails earlier. */
function beginCompound(state: ReplayState, action: Action): HostTask {
  const place = { inCompound: true, underRetry: false }
  const parts = (action.compoundActions ?? []).map((part) => begin(state, part, place))
  const whole = newTask()
  let missing = action.actionType === actionType.whenAny ? 1 : parts.length
  for (const part of parts) {
    whenSettled(part, () => {
      missing -= 1
      if (missing === 0)
        settle(
          whole,
          parts.some((each) => each.settled && each.failed),
        )
    })
  }
  return whole
}
