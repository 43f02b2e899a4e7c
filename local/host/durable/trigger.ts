import type { InvocationRequest } from '../invocation.ts'
import type { FoundFunction } from './function-index.ts'
import type { ReplayLimits } from './replay-state.ts'
import { dotNetTimeSpan } from './time-span.ts'

/** The JSON that an orchestrator function is called with; key order as recorded.
 * @param eventTexts JSON texts of all history events, in order
 * @param input JSON text of the input, or null */
export function orchestrationTrigger(trigger: {
  readonly eventTexts: readonly string[]
  readonly input: string | null
  readonly instanceId: string
  readonly parentInstanceId: string | null
  readonly isReplaying: boolean
  readonly sourceInstanceId: string | null
  readonly limits: ReplayLimits
}): string {
  const rest = {
    instanceId: trigger.instanceId,
    isReplaying: trigger.isReplaying,
    parentInstanceId: trigger.parentInstanceId,
    sourceInstanceId: trigger.sourceInstanceId,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: 3,
    longRunningTimerIntervalDuration: dotNetTimeSpan(trigger.limits.longRunningTimerIntervalMs),
    maximumShortTimerDuration: dotNetTimeSpan(trigger.limits.maximumShortTimerMs),
    defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
  }
  const input = trigger.input === null || trigger.input.trim() === '' ? 'null' : trigger.input
  return `{"history":[${trigger.eventTexts.join(',')}],"input":${input},${JSON.stringify(rest).slice(1)}`
}

/** The call of an orchestrator. Its trigger is not repeated in the metadata: the library would parse it once more for each. */
export const orchestratorInvocation = (
  invocationId: string,
  found: FoundFunction,
  instanceId: string,
  trigger: string,
): InvocationRequest => ({
  invocationId,
  functionName: found.name,
  inputs: [{ name: found.binding, value: { string: trigger } }],
  triggerMetadata: { instanceId: { string: instanceId } },
})

/** The call of an activity. @param input the trigger value; null for no value at all */
export function activityInvocation(
  invocationId: string,
  found: FoundFunction,
  instanceId: string,
  input: string | null,
): InvocationRequest {
  const value = input === null ? {} : { string: input }
  const data = input === null ? {} : { data: value, [found.binding]: value }
  return {
    invocationId,
    functionName: found.name,
    inputs: [{ name: found.binding, value }],
    triggerMetadata: { instanceId: { string: instanceId }, ...data },
  }
}
