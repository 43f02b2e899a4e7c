import { randomUUID } from 'node:crypto'
import type { HostedFunction } from './function-catalog.ts'
import type { FunctionWorker, InvocationRequest, InvocationResult, RpcValue } from './invocation.ts'
import type { LogSink } from './log.ts'

/** Runs one function with a trigger value. Never rejects. `reason` is for the log: "schedule", "POST /api/backups". */
export type InvokeFunction = (hosted: HostedFunction, trigger: RpcValue, reason: string) => Promise<InvocationResult>

/** Longest part of a function's error that goes to the log. */
const messageCharactersMax = 2000
/** What a failed orchestrator's message carries behind its text: its whole state. Source: durable-functions 3.5.0. */
const stateLabel = '$OutOfProcData$'

/** How an invocation ended, in a sentence's end. */
const endingOf = (result: InvocationResult): string => {
  switch (result.kind) {
    case 'succeeded':
      return 'Succeeded'
    case 'failed':
      return `Failed: ${(result.stack || result.message).split(stateLabel)[0]!.trim().slice(0, messageCharactersMax)}`
    case 'workerDied':
      return `Failed: the worker process ended (exit code ${result.exitCode})`
    case 'timedOut':
      return `Failed: timed out after ${result.seconds} s`
    default:
      return result satisfies never
  }
}

/**
 * The worker as host and engine use it: each invocation gets the Durable client it has a binding for, and a line in the
 * log when it has ended. Successful episodes and activities are for the debug level: there are many.
 */
export const hostedWorker = (
  worker: FunctionWorker,
  catalog: readonly HostedFunction[],
  clientBinding: () => string,
  onLog: LogSink,
): FunctionWorker => {
  const byName = new Map(catalog.map((hosted) => [hosted.name.toLowerCase(), hosted]))
  const withClients = (request: InvocationRequest): InvocationRequest => {
    const names = byName.get(request.functionName.toLowerCase())?.clientNames ?? []
    if (names.length === 0) return request
    const clients = names.map((name) => ({ name, value: { string: clientBinding() } }))
    return { ...request, inputs: [...request.inputs, ...clients] }
  }
  return {
    functions: worker.functions,
    invoke: async (request) => {
      const startedAt = performance.now()
      const result = await worker.invoke(withClients(request))
      const hosted = byName.get(request.functionName.toLowerCase())
      const quiet = hosted?.kind === 'orchestration' || hosted?.kind === 'activity'
      onLog({
        level: result.kind !== 'succeeded' ? 'error' : quiet ? 'debug' : 'information',
        category: `Function.${hosted?.name ?? request.functionName}`,
        message: `Executed in ${Math.round(performance.now() - startedAt)} ms: ${endingOf(result)}`,
        invocationId: request.invocationId,
      })
      return result
    },
  }
}

/** Invokes by trigger value, through `hostedWorker`, with an id of its own for each invocation. */
export const invokeThrough =
  (worker: FunctionWorker, onLog: LogSink): InvokeFunction =>
  (hosted, trigger, reason) => {
    const invocationId = randomUUID()
    onLog({ level: 'information', category: `Function.${hosted.name}`, message: `Executing (${reason})`, invocationId })
    return worker.invoke({
      invocationId,
      functionName: hosted.name,
      inputs: [{ name: hosted.triggerName, value: trigger }],
      triggerMetadata: {},
    })
  }
