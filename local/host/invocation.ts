/**
 * What passes between the host and a language worker: the shapes of the Functions host's own RPC (RpcTypedData and its
 * kin), as JSON. The engine, the timers and the HTTP front know workers only by this file.
 */

/** One value on its way to or from a function; exactly one field is set. Shapes: FunctionRpc.proto, TypedData. */
export interface RpcValue {
  readonly string?: string
  readonly json?: string
  readonly bytes?: Uint8Array
  readonly stream?: Uint8Array
  readonly int?: number
  readonly double?: number
  readonly http?: RpcHttp
}

/** An HTTP request or response in RPC form: FunctionRpc.proto, RpcHttp. */
export interface RpcHttp {
  readonly method?: string
  readonly url?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly statusCode?: string
  readonly body?: RpcValue
  readonly enableContentNegotiation?: boolean
  readonly cookies?: readonly unknown[]
}

/** One binding of a registered function, as `@azure/functions` hands it to `registerFunction` (type, direction, …). */
export interface BindingMetadata {
  readonly type: string
  readonly direction: 'in' | 'out'
  readonly name: string
  readonly [setting: string]: unknown
}

/** One function that the app registered. Names are compared without case, as the real host does. */
export interface FunctionMetadata {
  readonly name: string
  readonly bindings: readonly BindingMetadata[]
}

export interface InvocationRequest {
  readonly invocationId: string
  readonly functionName: string
  readonly inputs: readonly { readonly name: string; readonly value: RpcValue }[]
  readonly triggerMetadata: Readonly<Record<string, RpcValue>>
}

/** How an invocation ended. `workerDied`: the process that ran it is gone and its other invocations with it. */
export type InvocationResult =
  | {
      readonly kind: 'succeeded'
      readonly returnValue: RpcValue | null
      readonly outputs: Readonly<Record<string, RpcValue>>
    }
  | { readonly kind: 'failed'; readonly message: string; readonly stack: string }
  | { readonly kind: 'workerDied'; readonly exitCode: number }
  | { readonly kind: 'timedOut'; readonly seconds: number }

/** A worker process that has loaded the app, and starts again by itself when it dies. */
export interface FunctionWorker {
  /** What the app registered, in order of registration; empty until the app is loaded. */
  readonly functions: readonly FunctionMetadata[]
  /** Never rejects for what the function does: every ending is an InvocationResult. */
  invoke(request: InvocationRequest): Promise<InvocationResult>
}
