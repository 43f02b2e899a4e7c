/**
 * What the stories need of Durable Functions, typed. The rules kept here were observed on the real engine: one `Task.all` or
 * `Task.any` per task, timers cancelled, children that return their outcome instead of throwing, no timer beyond six days.
 */

import type { OrchestrationContext, Task } from 'durable-functions'
import * as df from 'durable-functions'
import type { StopReason } from '../shared/domain/job.ts'
import type { DiskRef, Failed, JobRef, Pending } from '../shared/domain/job-ref.ts'
import { type Activity, cancelEvent, type Orchestration, stopTransfers } from './contracts.ts'
import { firstRetryMs } from './retry-setting.ts'

export type { OrchestrationContext, Task }

/** A sync generator that yields Durable tasks and returns its outcome. */
export type Story<Outcome> = Generator<Task, Outcome, unknown>

/** Registers a story under its contract's name; outside a Functions host this does nothing. */
export const registerStory = <Input, Outcome>(
  orchestration: Orchestration<Input, Outcome>,
  story: (context: OrchestrationContext, input: Input) => Story<Outcome | undefined>,
): void => {
  df.app.orchestration(orchestration.name, handlerOf(story))
}

/** The handler that the engine runs for a story: gives it its input. */
export const handlerOf = <Input, Outcome>(
  story: (context: OrchestrationContext, input: Input) => Story<Outcome | undefined>,
): df.OrchestrationHandler =>
  function* (context) {
    return yield* story(context, context.df.getInput<Input>())
  }

/** Tries of one activity before its fault becomes the outcome `activity-failed`: with the waits below some twenty minutes, so that a
 * storage account that fails over, or a network that is down for a while, does not end a transfer of many hours. */
const activityTriesMax = 10
const retryWaitMsMax = 300_000

const retryPolicy = (): df.RetryOptions => {
  const policy = new df.RetryOptions(firstRetryMs, activityTriesMax)
  policy.backoffCoefficient = 2
  policy.maxRetryIntervalInMilliseconds = retryWaitMsMax
  return policy
}

/** Runs an activity, with retries where it throws. Never throws for the activity: what is left after the last try is a Failed. */
export function* call<Input, Outcome>(
  context: OrchestrationContext,
  activity: Activity<Input, Outcome>,
  input: Input,
): Story<Outcome | Failed> {
  try {
    const outcome = yield context.df.callActivityWithRetry(activity.name, retryPolicy(), input)
    return isOutcome(outcome) ? (outcome as Outcome) : noOutcome(activity.name)
  } catch (error) {
    return faulted(activity.name, error)
  }
}

const isOutcome = (value: unknown): boolean => typeof value === 'object' && value !== null && 'kind' in value

const noOutcome = (name: string): Failed => ({
  kind: 'failed',
  reason: 'activity-without-outcome',
  message: `${name} ended without an outcome.`,
  hint: 'Look for errors of this activity in the log of the function app.',
})

/** The engine puts kilobytes of exception text behind ` \n `; a history and a report need the first sentence. */
const faulted = (name: string, error: unknown): Failed => ({
  kind: 'failed',
  reason: 'activity-failed',
  message: (error instanceof Error ? error.message : String(error)).split(' \n ')[0]!.trim().slice(0, 400),
  hint: `The step ${name} failed ${activityTriesMax} times. Its log entries carry the cause; start the job again when it is cured.`,
})

/** Times that one step may answer `pending` before the job gives up. With the growing waits below, more than seven hours. */
const asksMax = 200

/** Asks an activity until it has another answer than `pending`, with a durable timer between two asks.
 * @param answered what another step was told when it asked for the same; counts as the first ask */
export function* untilReady<Input, Outcome extends { readonly kind: string }>(
  context: OrchestrationContext,
  activity: Activity<Input, Outcome>,
  input: Input,
  answered: Outcome | null = null,
): Story<Exclude<Outcome, Pending> | Failed> {
  for (let asks = 1; asks <= asksMax; asks++) {
    const known = asks === 1 ? answered : null
    const outcome: Outcome | Failed = known ?? (yield* call(context, activity, input))
    if (outcome.kind !== 'pending') return outcome as Exclude<Outcome, Pending> | Failed
    yield timer(context, waitSeconds(outcome as unknown as Pending, asks))
  }
  return notReady(activity.name)
}

/** What the service asks for, and more after many asks, so that the history stays short. */
const waitSeconds = ({ retryAfterSeconds }: Pending, asks: number): number =>
  Math.min(3600, Math.max(retryAfterSeconds, asks > 120 ? 300 : asks > 60 ? 60 : asks > 20 ? 15 : 1))

const notReady = (name: string): Failed => ({
  kind: 'failed',
  reason: 'not-ready-in-time',
  message: `${name} was still pending after ${asksMax} asks.`,
  hint: 'Look at the state of the resource in the portal, then start the job again.',
})

const timer = (context: OrchestrationContext, seconds: number): df.TimerTask =>
  context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + seconds * 1000))

/** What the disks of a job ended with, in the order of `disks`, and whether they were asked to stop. */
export interface DisksEnded<Outcome> {
  readonly outcomes: readonly Outcome[]
  readonly stopped: StopReason | null
}

/** Runs a child per disk until all have ended. When the deadline or the cancel event comes first, the children are asked to stop,
 * and still awaited: each returns its outcome. A child that the platform ended makes this throw: the instance fails, and the
 * supervisor starts the next attempt.
 * @param disks one or more
 * @param deadline ISO time less than six days ahead, or null for none */
export function* eachDiskWithinWindow<Input extends DiskRef, Outcome>(
  context: OrchestrationContext,
  child: Orchestration<Input, Outcome>,
  disks: readonly Input[],
  window: { readonly job: JobRef; readonly deadline: string | null; readonly onStop: (reason: StopReason) => void },
): Story<DisksEnded<Outcome>> {
  const deadline = window.deadline === null ? null : context.df.createTimer(new Date(window.deadline))
  const cancel = context.df.waitForExternalEvent(cancelEvent)
  const all = context.df.Task.all(disks.map((disk) => startChild(context, child, disk, `disk-${disk.disk}`)))
  try {
    const winner = yield context.df.Task.any(deadline === null ? [all, cancel] : [all, deadline, cancel])
    const stopped = winner === all ? null : winner === cancel ? 'cancelled' : 'missedWindow'
    if (stopped !== null) {
      window.onStop(stopped)
      yield* call(context, stopTransfers, { ...window.job, reason: stopped })
    }
    if (all.isFaulted) throw all.result
    const outcomes = all.isCompleted ? all.result : yield all
    return { outcomes: outcomes as readonly Outcome[], stopped }
  } finally {
    if (deadline !== null && !deadline.isCompleted) deadline.cancel()
  }
}

/** Runs a child per input and returns their outcomes in order. The children return their failures. */
export function* eachChild<Input, Outcome>(
  context: OrchestrationContext,
  child: Orchestration<Input, Outcome>,
  inputs: readonly { readonly label: string; readonly input: Input }[],
): Story<readonly Outcome[]> {
  const children = inputs.map(({ label, input }) => startChild(context, child, input, label))
  return (yield context.df.Task.all(children)) as readonly Outcome[]
}

/** The id of a child: its parent's and a label. */
const startChild = <Input, Outcome>(
  context: OrchestrationContext,
  child: Orchestration<Input, Outcome>,
  input: Input,
  label: string,
): Task => context.df.callSubOrchestrator(child.name, input, `${context.df.instanceId}:${label}`)

/** Ends this generation; the orchestration goes on with the new input and an empty history. Return right after it. */
export const continueAs = <Input, Outcome>(
  context: OrchestrationContext,
  _orchestration: Orchestration<Input, Outcome>,
  input: Input,
): undefined => {
  context.df.continueAsNew(input)
}

/** Engine's limit for a custom status: 16 KB in UTF-16. More would fail the orchestration. */
const statusCharactersMax = 8192

/** Shows progress. The status is empty at the start of each episode; replay sets it again by coming here again. */
export const status = (context: OrchestrationContext, progress: object): void => {
  context.df.setCustomStatus(
    JSON.stringify(progress).length < statusCharactersMax ? progress : { phase: 'status-too-long' },
  )
}

/** Now, as the replayed story sees it: ISO time. */
export const startOf = (context: OrchestrationContext): string => context.df.currentUtcDateTime.toISOString()

/** Milliseconds from `start` (of startOf) to now, as the replayed story sees it; never negative. */
export const millisecondsSince = (context: OrchestrationContext, start: string): number =>
  Math.max(0, context.df.currentUtcDateTime.getTime() - new Date(start).getTime())
