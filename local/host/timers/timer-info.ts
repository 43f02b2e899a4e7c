import type { RpcValue } from '../invocation.ts'
import type { ScheduleStatus } from './schedule-status.ts'

const dateTimeOffset = (milliseconds: number): string => new Date(milliseconds).toISOString().replace('Z', '+00:00')

/** The value of a timer trigger, in the shape and letter case of .NET's TimerInfo; `@azure/functions` turns it to
 * camel case. `status` is null for a timer whose status is not kept. */
export const timerInfo = (status: ScheduleStatus | null, isPastDue: boolean): RpcValue => ({
  json: JSON.stringify({
    Schedule: { AdjustForDST: true },
    ScheduleStatus:
      status === null
        ? null
        : {
            Last: dateTimeOffset(status.last),
            Next: dateTimeOffset(status.next),
            LastUpdated: dateTimeOffset(status.lastUpdated),
          },
    IsPastDue: isPastDue,
  }),
})
