import type { InvocationResult } from '../invocation.ts'
import type { Failure, FailureDetails } from './history-event.ts'
import { dotNetTimeSpan } from './time-span.ts'

/** An invocation that did not succeed. */
export type FailedInvocation = Exclude<InvocationResult, { readonly kind: 'succeeded' }>

/** How a failed activity run is told to its orchestrator. `details` has the shape of the .NET exception that the real host
 * sends, with our texts; an error whose message is failure details in JSON is passed on as such.
 * Source: recordings; durable-functions 3.5.0 writes such messages when an exception properties provider is set. */
export function activityFailure(name: string, result: FailedInvocation): Failure {
  const details = result.kind === 'failed' ? failureDetails(result.message) : undefined
  if (details)
    return {
      reason: `Activity function '${name}' failed with an unhandled exception.`,
      details: null,
      failureDetails: details,
    }
  return {
    reason: `Activity function '${name}' failed: ${failureMessage(name, result)}`,
    details: JSON.stringify(
      result.kind === 'failed' ? rpcException(result) : hostException(failureMessage(name, result)),
    ),
    failureDetails: null,
  }
}

/** What the real host says about an orchestrator whose worker failed it without an answer in the protocol. */
export function orchestratorFailure(name: string, result: FailedInvocation): string {
  const inner = result.kind === 'failed' ? rpcText(result) : failureMessage(name, result)
  return `One or more errors occurred. (${inner})`
}

/** A failed sub-orchestration, as its parent gets it.
 * @param output the output of the failed instance; `error` the same without the name of the function */
export const subFailure = (output: string, error: string, failureDetails: FailureDetails | null = null): Failure => ({
  reason: output,
  details: `Message: ${error}, StackTrace: `,
  failureDetails,
})

function failureMessage(name: string, result: FailedInvocation): string {
  switch (result.kind) {
    case 'failed':
      return result.message
    case 'workerDied':
      return `node exited with code ${result.exitCode} (0x${result.exitCode.toString(16)})`
    case 'timedOut':
      return `Timeout value of ${dotNetTimeSpan(result.seconds * 1000)} was exceeded by function: Functions.${name}`
    default:
      return result satisfies never
  }
}

type FailedInWorker = Extract<FailedInvocation, { readonly kind: 'failed' }>

const rpcText = (result: FailedInWorker): string =>
  `Result: Failure\nException: ${result.message}\nStack: ${result.stack}`

const dictionary = { $type: 'System.Collections.ListDictionaryInternal, System.Private.CoreLib' }
const exceptionHResult = -2146233088

const rpcException = (result: FailedInWorker) => ({
  $type: 'System.Exception, System.Private.CoreLib',
  ClassName: 'System.Exception',
  Message: result.message,
  Data: null,
  InnerException: {
    $type: 'Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException, host',
    IsUserException: false,
    RemoteStackTrace: result.stack,
    RemoteMessage: result.message,
    RemoteTypeName: null,
    Message: rpcText(result),
    Data: dictionary,
    InnerException: null,
    HelpLink: null,
    Source: 'host',
    HResult: exceptionHResult,
    StackTrace: '',
  },
  HelpURL: null,
  StackTraceString: null,
  RemoteStackTraceString: null,
  RemoteStackIndex: 0,
  ExceptionMethod: null,
  HResult: exceptionHResult,
  Source: null,
  WatsonBuckets: null,
})

const hostException = (message: string) => ({
  $type: 'Microsoft.Azure.WebJobs.Script.Workers.WorkerProcessExitException, host',
  Message: message,
  Data: dictionary,
  InnerException: null,
  HelpLink: null,
  Source: 'host',
  HResult: exceptionHResult,
  StackTrace: '',
})

function failureDetails(message: string): FailureDetails | undefined {
  if (!message.startsWith('{')) return undefined
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(message)
  } catch {
    return undefined
  }
  if (typeof parsed.errorType !== 'string' || typeof parsed.errorMessage !== 'string') return undefined
  return {
    ErrorType: parsed.errorType,
    ErrorMessage: parsed.errorMessage,
    StackTrace: typeof parsed.stackTrace === 'string' ? parsed.stackTrace : null,
    InnerFailure: parsed.innerFailure ?? null,
    IsNonRetriable: parsed.isNonRetriable === true,
    Properties: parsed.properties ?? null,
  }
}
