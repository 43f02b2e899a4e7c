import type { FunctionWorker } from '../invocation.ts'
import type { EngineEvent } from './engine-event.ts'
import type { FunctionIndex } from './function-index.ts'
import type { HistoryCache } from './history-cache.ts'
import type { HistoryEvent } from './history-event.ts'
import type { ReplayLimits } from './replay-state.ts'
import type { InstanceRow, MessageRow, Store } from './store.ts'

/** What turns work with. */
export interface TurnContext {
  readonly store: Store
  readonly cache: HistoryCache
  readonly worker: FunctionWorker
  readonly functions: FunctionIndex
  readonly limits: ReplayLimits
  /** When a message that is due at `fireAtMs` is delivered: the same, unless time is scaled. */
  readonly deliveryMs: (fireAtMs: number) => number
  /** Told after a commit which instances have messages, and when they are due. */
  readonly notice: (instanceId: string, dueMs: number) => void
  readonly dispatchActivity: (activityId: number) => void
  readonly log: (event: EngineEvent) => void
  /** The host is ending, and its worker with it. */
  readonly isStopping: () => boolean
}

/** One turn of one orchestrator, as gathered before its function is called. */
export interface Turn {
  readonly instance: InstanceRow
  readonly messages: readonly MessageRow[]
  /** What is added to the history before the function is called: a turn's start and the received events. */
  readonly events: readonly HistoryEvent[]
}
