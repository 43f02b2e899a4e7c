import type { InvocationResult, RpcValue } from '../invocation.ts'
import type { Action } from './actions.ts'
import { orchestratorFailure } from './failure-text.ts'
import type { FailureDetails } from './history-event.ts'

/** What an orchestrator turn came back with. `crashed`: no answer in the protocol; the instance fails with `message`. */
export type Answer =
  | {
      readonly kind: 'state'
      readonly isDone: boolean
      readonly actions: readonly Action[]
      /** JSON text, or null where nothing was returned. */
      readonly output: string | null
      /** JSON text, or null where none is set: then the status has none either. */
      readonly customStatus: string | null
      /** Set if the orchestrator threw. */
      readonly error: string | undefined
      /** Set if what it threw was the failure of a task that came with such details. */
      readonly failureDetails: FailureDetails | null
    }
  | { readonly kind: 'crashed'; readonly message: string }

/** Marks the answer inside the message of an orchestrator that throws: durable-functions 3.x, OrchestrationFailureError. */
const outOfProcLabel = '$OutOfProcData$:'

/** Reads the worker's result of one orchestrator turn. */
export function parseAnswer(name: string, result: InvocationResult): Answer {
  if (result.kind === 'succeeded') return parseState(result.returnValue)
  const at = result.kind === 'failed' ? result.message.indexOf(outOfProcLabel) : -1
  if (result.kind === 'failed' && at >= 0) {
    const answer = stateOf(JSON.parse(result.message.slice(at + outOfProcLabel.length)))
    // Something that is not an Error was thrown: the library sends no text, and the host shows what it got.
    if (answer.error !== undefined) return answer
  }
  return { kind: 'crashed', message: orchestratorFailure(name, result) }
}

function parseState(value: RpcValue | null): Answer {
  const text = value?.json ?? value?.string
  if (text === undefined)
    return { kind: 'crashed', message: 'The orchestrator function answered nothing that the Durable protocol knows.' }
  return stateOf(JSON.parse(text))
}

function stateOf(state: Record<string, unknown>): Extract<Answer, { kind: 'state' }> {
  const actions = Array.isArray(state.actions) ? (state.actions as Action[][]).flat() : []
  return {
    kind: 'state',
    isDone: state.isDone === true,
    actions,
    output: state.output === undefined ? null : JSON.stringify(state.output),
    customStatus: state.customStatus === undefined ? null : JSON.stringify(state.customStatus),
    error: typeof state.error === 'string' ? state.error : undefined,
    failureDetails: failureDetailsOf(state.failureDetails as Partial<FailureDetails> | undefined),
  }
}

/** The library leaves out what is empty; the host's own events always have all fields. */
const failureDetailsOf = (details: Partial<FailureDetails> | undefined): FailureDetails | null =>
  details?.ErrorType === undefined
    ? null
    : {
        ErrorType: details.ErrorType,
        ErrorMessage: details.ErrorMessage ?? '',
        StackTrace: details.StackTrace ?? null,
        InnerFailure: details.InnerFailure ?? null,
        IsNonRetriable: details.IsNonRetriable ?? false,
        Properties: details.Properties ?? null,
      }
