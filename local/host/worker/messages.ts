import type { FunctionMetadata, InvocationRequest, InvocationResult } from '../invocation.ts'
import type { LogEntry } from '../log.ts'

/** What the host says to its worker process, over the IPC channel of a forked process (serialization `advanced`). */
export type HostMessage =
  | { readonly kind: 'load'; readonly appFolder: string }
  | { readonly kind: 'invoke'; readonly request: InvocationRequest }
  | { readonly kind: 'terminate' }

/** A function as the worker reports it. `retries`: it asked for a function-level retry policy. */
export interface RegisteredFunction extends FunctionMetadata {
  readonly retries: boolean
}

/** What the worker process says to the host. `started` comes before any code of the app runs for that invocation. */
export type WorkerMessage =
  | { readonly kind: 'loaded'; readonly functions: readonly RegisteredFunction[] }
  | { readonly kind: 'loadFailed'; readonly message: string }
  | { readonly kind: 'started'; readonly invocationId: string }
  | { readonly kind: 'finished'; readonly invocationId: string; readonly result: InvocationResult }
  | { readonly kind: 'log'; readonly entry: LogEntry }
