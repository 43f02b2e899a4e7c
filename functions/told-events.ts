import type { InvocationContext } from '@azure/functions'
import { type BusinessEvent, eventsTo } from '../shared/events.ts'

/** The events of the app's business, bound to a sink. */
export type Events = ReturnType<typeof eventsTo>

/** Where an invocation writes to. */
export type Log = Pick<InvocationContext, 'error' | 'log' | 'warn'>

const levels: Readonly<Record<BusinessEvent['level'], keyof Log>> = {
  information: 'log',
  warning: 'warn',
  error: 'error',
}

/** Events as lines of the invocation's log: name, sentence, and the facts as JSON, which queries can take apart. */
export const eventsIn = (log: Log): Events =>
  eventsTo(({ name, level, message, facts }) => log[levels[level]](`${name}: ${message} ${JSON.stringify(facts)}`))

/** What every event of a job says: the job, and the attempt that the invocation's instance belongs to (1 where it is unknown). */
export const jobFacts = (
  ref: { readonly jobId: string; readonly vmKey: string },
  instanceId: unknown,
): { readonly jobId: string; readonly vmKey: string; readonly attempt: number } => ({
  jobId: ref.jobId,
  vmKey: ref.vmKey,
  attempt: Number(/\.(\d{1,4})(:|$)/.exec(typeof instanceId === 'string' ? instanceId : '')?.[1] ?? 1),
})
