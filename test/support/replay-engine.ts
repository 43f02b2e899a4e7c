import { createRequire } from 'node:module'
import type { OrchestrationHandler } from 'durable-functions'

/**
 * The replay engine of durable-functions 3.5.0 itself, in this process. Deep import: the package has no `exports` map and no public
 * engine, so the version is pinned and this file is the only one that knows the path.
 */
const testing = createRequire(import.meta.url)('durable-functions/lib/src/util/testingUtils') as {
  createOrchestrator(
    handler: OrchestrationHandler,
  ): (trigger: unknown, context: unknown) => Promise<Omit<ReplayState, 'error'>>
  DummyOrchestrationContext: new (name: string, id: string, log: () => void) => object
}

/** An event of the wire format: `EventType` is a number, `Timestamp` ISO. */
export interface HistoryEvent {
  readonly EventType: number
  readonly EventId: number
  readonly IsPlayed: boolean
  readonly Timestamp: string
  readonly [field: string]: unknown
}

/** One thing that the story asked for; compounds hold more of them. */
export interface Action {
  readonly actionType: number
  readonly functionName?: string
  readonly instanceId?: string
  readonly input?: unknown
  readonly fireAt?: string
  readonly isCanceled?: boolean
  readonly retryOptions?: Readonly<Record<string, number>>
  readonly compoundActions?: readonly Action[]
}

/** What the library answers to a history: all actions since the start of this generation. */
export interface ReplayState {
  readonly isDone: boolean
  readonly actions: readonly Action[]
  readonly output?: unknown
  readonly customStatus?: unknown
  /** Set where the story threw. */
  readonly error: string | null
}

/** Replays a history from its beginning. The history is copied: the library changes what it is given. */
export const replay = async (
  handler: OrchestrationHandler,
  history: readonly HistoryEvent[],
  input: unknown,
  instanceId: string,
): Promise<ReplayState> => {
  const trigger = {
    history: structuredClone(history),
    input: structuredClone(input),
    instanceId,
    isReplaying: false,
    parentInstanceId: null,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: 3,
    longRunningTimerIntervalDuration: '3.00:00:00',
    maximumShortTimerDuration: '6.00:00:00',
    defaultHttpAsyncRequestSleepTimeMillseconds: 30000,
  }
  const context = new testing.DummyOrchestrationContext('story', 'invocation', () => undefined)
  try {
    return { ...plain(await testing.createOrchestrator(handler)(trigger, context)), error: null }
  } catch (error) {
    return stateIn(error)
  }
}

const plain = (state: unknown): Omit<ReplayState, 'error'> => {
  const json = JSON.parse(JSON.stringify(state)) as Omit<ReplayState, 'error' | 'actions'> & { actions: Action[][] }
  return { ...json, actions: json.actions.flat() }
}

/** A story that threw: the library puts its state behind a mark in the message. */
const stateIn = (error: unknown): ReplayState => {
  const [, json] = (error instanceof Error ? error.message : String(error)).split('$OutOfProcData$:')
  if (json === undefined) throw error
  const state = JSON.parse(json) as { error: string }
  return { ...plain(state), error: state.error }
}
