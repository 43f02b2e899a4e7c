import type { Action } from './actions.ts'
import type { HistoryEvent } from './history-event.ts'
import type { HostTask } from './host-task.ts'

/** What the app's orchestrator wants done under one number, counted as the engine counts. `action` is the one that asked
 * for it; the timers between retries have none. */
export type Decision =
  | { readonly kind: 'activity'; readonly id: number; readonly name: string; readonly action: Action }
  | {
      readonly kind: 'sub'
      readonly id: number
      readonly name: string
      readonly action: Action
      readonly instanceId: string
    }
  | {
      readonly kind: 'timer'
      readonly id: number
      readonly name: string
      readonly action?: Action
      readonly fireAt: string
    }

export interface ReplayLimits {
  /** Longest timer that is one timer; longer ones are made of parts. */
  readonly maximumShortTimerMs: number
  readonly longRunningTimerIntervalMs: number
}

export interface OpenTask {
  readonly task: HostTask
  readonly decision: Decision
  readonly underRetry: boolean
}

/** Everything one replay knows; made for one call and thrown away. */
export interface ReplayState {
  readonly actions: readonly Action[]
  readonly executionId: string
  readonly limits: ReplayLimits
  /** Scheduled and not settled, by number. */
  readonly open: Map<number, OpenTask>
  /** Scheduled by this replay and not (yet) met as a recorded decision in the history. */
  readonly unmatched: Map<number, Decision>
  /** Numbers given inside Task.all or Task.any. */
  readonly inCompound: Set<number>
  readonly cancelledTimerIds: number[]
  /** By lower-case name: waits without an event, newest last, and events without a wait. */
  readonly waiting: Map<string, HostTask[]>
  readonly buffered: Map<string, number>
  /** Events so far by exact name. */
  readonly eventCounts: Map<string, number>
  /** Events that came while suspended. */
  heldBack: HistoryEvent[]
  suspended: boolean
  terminated: { readonly reason: string | null } | undefined
  continueAsNew: { readonly input: unknown } | undefined
  /** Messages to fail the instance with: a rule that must not be broken; code that no longer fits its history. */
  refusal: string | undefined
  nonDeterminism: string | undefined
  nextId: number
  /** The next action to begin, and the task of the one before. */
  position: number
  current: HostTask | undefined
  /** currentUtcDateTime of the turn that is gone through. */
  nowMs: number
}

export const newReplayState = (actions: readonly Action[], executionId: string, limits: ReplayLimits): ReplayState => ({
  actions,
  executionId,
  limits,
  open: new Map(),
  unmatched: new Map(),
  inCompound: new Set(),
  cancelledTimerIds: [],
  waiting: new Map(),
  buffered: new Map(),
  eventCounts: new Map(),
  heldBack: [],
  suspended: false,
  terminated: undefined,
  continueAsNew: undefined,
  refusal: undefined,
  nonDeterminism: undefined,
  nextId: 0,
  position: 0,
  current: undefined,
  nowMs: 0,
})
