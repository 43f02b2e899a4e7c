import type { Answer } from './answer.ts'
import { subFailure } from './failure-text.ts'
import * as hazards from './hazards.ts'
import type { Failure } from './history-event.ts'
import type { ReplayOutcome } from './replay.ts'

/** What one turn makes of an instance. Texts named `Json` are JSON texts. */
export type Conclusion =
  | { readonly kind: 'running'; readonly outcome: ReplayOutcome; readonly customStatusJson: string | null }
  | { readonly kind: 'continued'; readonly inputJson: string | null; readonly customStatusJson: string | null }
  | Ended

export interface Ended {
  readonly kind: 'ended'
  readonly status: 'Completed' | 'Failed' | 'Terminated'
  /** JSON text if Completed, else plain text; `output` is what the status shows of it. */
  readonly result: string | null
  readonly output: string | null
  /** What a parent is told unless Completed. */
  readonly failure: Failure | undefined
  readonly customStatusJson: string | null
  /** Set where the engine refused to go on. */
  readonly refusal: string | undefined
}

/** 16 KB of UTF-16: limit of the Durable extension for a custom status. */
const customStatusBytesMax = 16 * 1024

/** Weighs an answer and how far the replay came with it. An end waits for every open activity, sub-orchestration and timer. */
export function conclude(name: string, answer: Answer, outcome: ReplayOutcome): Conclusion {
  if (outcome.terminated) return terminated(outcome.terminated.reason)
  if (answer.kind === 'crashed')
    return failed(`Orchestrator function '${name}' failed: ${answer.message}`, answer.message)
  const bytes = (answer.customStatus?.length ?? 0) * 2
  if (bytes > customStatusBytesMax) return failedByStatus(name, bytes)
  if (outcome.nonDeterminism !== undefined) return failed(outcome.nonDeterminism)
  if (outcome.refusal !== undefined) return refused(outcome.refusal, answer.customStatus)
  const running = { kind: 'running', outcome, customStatusJson: answer.customStatus } as const
  const isOver = answer.isDone || answer.error !== undefined
  if (!isOver) return outcome.stuck ? refused(hazards.neverContinues, answer.customStatus) : running
  if (!outcome.finished || outcome.openTasks > 0 || outcome.suspended) return running
  if (answer.error !== undefined) return threw(name, answer, answer.error)
  if (outcome.continueAsNew) {
    const { input } = outcome.continueAsNew
    const inputJson = input === undefined || input === null ? null : JSON.stringify(input)
    return { kind: 'continued', inputJson, customStatusJson: answer.customStatus }
  }
  return completed(answer.output, answer.customStatus)
}

/** Fails an instance at once; `message` is all its output.
 * @param error what a parent is told in the details, if it differs */
export const failed = (message: string, error = message, customStatusJson: string | null = null): Ended => ({
  kind: 'ended',
  status: 'Failed',
  result: message,
  output: message,
  failure: subFailure(message, error),
  customStatusJson,
  refusal: undefined,
})

export const refused = (message: string, customStatusJson: string | null = null): Ended => ({
  ...failed(message, message, customStatusJson),
  refusal: message,
})

/** With failure details the status shows their short form, while the history has the usual text. */
function threw(name: string, answer: Extract<Answer, { kind: 'state' }>, error: string): Ended {
  const message = `Orchestrator function '${name}' failed: ${error}`
  const { failureDetails } = answer
  const output = failureDetails ? `${failureDetails.ErrorType}: ${failureDetails.ErrorMessage}` : message
  return { ...failed(message, error, answer.customStatus), output, failure: subFailure(message, error, failureDetails) }
}

const completed = (outputJson: string | null, customStatusJson: string | null): Ended => ({
  kind: 'ended',
  status: 'Completed',
  result: outputJson,
  output: outputJson,
  failure: undefined,
  customStatusJson,
  refusal: undefined,
})

const terminated = (reason: string | null): Ended => ({
  kind: 'ended',
  status: 'Terminated',
  result: reason,
  output: reason,
  failure: subFailure(reason ?? '', reason ?? ''),
  customStatusJson: null,
  refusal: undefined,
})

function failedByStatus(name: string, bytes: number): Ended {
  const error = `The UTF-16 size of the JSON-serialized payload must not exceed 16 KB. The current payload size is ${Math.floor(bytes / 1024)} KB.`
  return failed(`Orchestrator function '${name}' failed: ${error}`, error)
}
