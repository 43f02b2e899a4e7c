import { mkdirSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import type { FunctionWorker } from '../invocation.ts'
import { createActivityDispatcher } from './activity-dispatch.ts'
import { createClientOperations } from './client-operations.ts'
import type { EngineEvent } from './engine-event.ts'
import { createFunctionIndex } from './function-index.ts'
import { createHistoryCache } from './history-cache.ts'
import { handleManagement } from './http-management.ts'
import { clientBinding, type HubAddress } from './management-urls.ts'
import type { ReplayLimits } from './replay-state.ts'
import { createScheduler, type TurnGate } from './scheduler.ts'
import { type MessageRow, openStore, type Store } from './store.ts'
import { runTurn } from './turn.ts'
import type { TurnContext } from './turn-context.ts'

/** The embedded Durable Functions engine: instances, their turns and activities, kept in one SQLite file. */
export interface DurableEngine {
  /** Takes up what an earlier process left. Call it when the worker has loaded the app. */
  start(): Promise<void>
  /** Ends after the running turns; running activities are given up and run again at the next start. */
  stop(): Promise<void>
  /** JSON text of the value of a `durableClient` input binding. */
  clientBinding(): string
  /** Durable HTTP API under /runtime/webhooks/durabletask and, for the app's client library, /durabletask.
   * @returns false if the path is neither; the response is untouched then */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean>
  /** Resolves when no turn and no activity runs or could run now. Timers of the future do not count. */
  idle(): Promise<void>
}

export interface DurableEngineOptions {
  /** Made if missing, with its folder. One engine at a time may use it. */
  readonly databasePath: string
  readonly worker: FunctionWorker
  readonly hubName: string
  readonly maxConcurrentActivityFunctions: number
  readonly maxConcurrentOrchestratorFunctions: number
  /** Scheme, host and port under which the host is reached, without a slash at the end; asked at each use. */
  readonly publicOrigin: () => string
  /** What `code` must be on the public path; null if everybody may. */
  readonly systemKey: string | null
  /** Factor on the waiting time of durable timers and retries; 1 if left out, 0 fires at once. */
  readonly timeScale?: number
  /** Six days and three days if left out, as in the real engine. */
  readonly timerLimits?: ReplayLimits
  readonly onLog: (event: EngineEvent) => void
  /** For tests: which due messages a turn takes. */
  readonly gate?: TurnGate
  /** For tests: told after each commit. */
  readonly afterCommit?: () => void
}

const dayMs = 24 * 60 * 60 * 1000
const defaultLimits: ReplayLimits = { maximumShortTimerMs: 6 * dayMs, longRunningTimerIntervalMs: 3 * dayMs }

/** Makes an engine; nothing runs before `start`, but the HTTP API and the database work at once.
 * @throws if the database cannot be opened */
export function createDurableEngine(options: DurableEngineOptions): DurableEngine {
  mkdirSync(dirname(options.databasePath), { recursive: true })
  const store = openStore(options.databasePath, options.afterCommit)
  const parts = compose(options, store)
  const hub = (): HubAddress => ({
    origin: options.publicOrigin(),
    hubName: options.hubName,
    systemKey: options.systemKey,
  })
  return {
    async start() {
      for (const id of store.activityIds()) parts.activities.dispatch(id)
      parts.scheduler.start()
    },
    async stop() {
      parts.stopping()
      parts.activities.stop()
      await parts.scheduler.stop()
      store.close()
    },
    clientBinding: () => clientBinding(hub()),
    handle: (request, response) => handleManagement({ store, operations: parts.operations, hub }, request, response),
    idle: parts.idle,
  }
}

function compose(options: DurableEngineOptions, store: Store) {
  const { worker, onLog: log } = options
  const functions = createFunctionIndex(worker)
  const cache = createHistoryCache(store)
  const notice = (instanceId: string, dueMs: number): void => scheduler.notice(instanceId, dueMs)
  const waiting: (() => void)[] = []
  const isIdle = (): boolean => activities.isIdle() && scheduler.isIdle()
  const onIdle = (): void => {
    if (waiting.length > 0 && isIdle()) for (const resolve of waiting.splice(0)) resolve()
  }
  const activities = createActivityDispatcher({
    store,
    worker,
    functions,
    concurrencyMax: options.maxConcurrentActivityFunctions,
    notice,
    onIdle,
    log,
  })
  const timeScale = options.timeScale ?? 1
  let isStopping = false
  const context: TurnContext = {
    store,
    cache,
    worker,
    functions,
    limits: options.timerLimits ?? defaultLimits,
    deliveryMs: (fireAtMs) => scaled(fireAtMs, timeScale),
    notice,
    dispatchActivity: (id) => activities.dispatch(id),
    log,
    isStopping: () => isStopping,
  }
  const scheduler = createScheduler({
    store,
    concurrencyMax: options.maxConcurrentOrchestratorFunctions,
    runTurn: (messages: readonly MessageRow[]) => runTurn(context, messages),
    onIdle,
    onError: (instanceId, error) => log({ kind: 'turnPostponed', instanceId, reason: String(error) }),
    gate: options.gate,
  })
  const operations = createClientOperations(store, notice, (executionId) => cache.forget(executionId))
  const idle = (): Promise<void> => (isIdle() ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)))
  const stopping = (): void => {
    isStopping = true
  }
  return { activities, scheduler, operations, idle, stopping }
}

function scaled(fireAtMs: number, timeScale: number): number {
  if (timeScale === 1) return fireAtMs
  const nowMs = Date.now()
  return nowMs + Math.max(fireAtMs - nowMs, 0) * timeScale
}
