import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FunctionWorker } from './invocation.ts'
import type { LogSink } from './log.ts'

/** What the host gives its Durable engine. */
export interface DurableEngineOptions {
  /** Of the SQLite file that holds all instances; made where it is missing. */
  readonly databasePath: string
  /** Runs orchestrators and activities. */
  readonly worker: FunctionWorker
  readonly hubName: string
  readonly maxConcurrentActivityFunctions: number
  readonly maxConcurrentOrchestratorFunctions: number
  /** Origin of the management URLs, such as `http://127.0.0.1:7071`. */
  readonly publicOrigin: string
  /** Goes into the management URLs as `code`; empty where nothing is locked. */
  readonly systemKey: string
  readonly onLog: LogSink
}

/** The Durable engine as the rest of the host knows it. */
export interface DurableEngine {
  /** Goes on with what its database holds. */
  start(): Promise<void> | void
  stop(): Promise<void> | void
  /** The value of every `durableClient` binding, as JSON. */
  clientBinding(): string
  /** Serves `/runtime/webhooks/durabletask…` and `/durabletask/…`; false, and no answer, for what it does not know. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean>
}

export type CreateDurableEngine = (options: DurableEngineOptions) => DurableEngine
