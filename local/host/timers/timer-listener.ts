import { messageOf } from '../error-text.ts'
import type { TimerFunction } from '../function-catalog.ts'
import type { RpcValue } from '../invocation.ts'
import type { LogSink } from '../log.ts'
import type { Schedule } from './schedule.ts'
import { readStatus, type ScheduleStatus, statusAtStart, writeStatus } from './schedule-status.ts'
import { timerInfo } from './timer-info.ts'

export interface TimerListenerOptions {
  readonly hosted: TimerFunction
  readonly schedule: Schedule
  /** Where statuses are kept; one file per function. */
  readonly statusFolder: string
  /** Runs the function; never rejects. */
  readonly run: (trigger: RpcValue, reason: string) => Promise<unknown>
  readonly onLog: LogSink
}

/** One timer function, running by its schedule: never twice at once, and once for all occurrences that were missed. */
export interface TimerListener {
  /** What a run by hand is given: the status as it is, not past due. Such a run is outside the schedule. */
  manualTrigger(): RpcValue
  /** No further run begins; resolves when the one that is running has ended. */
  stop(): Promise<void>
}

/** Longest wait that setTimeout takes is 2^31-1 ms; longer ones are waited for in parts. */
const waitMillisecondsMax = 24 * 3600 * 1000

/** Starts a timer function. A past-due or `runOnStartup` run begins at once, in the background. */
export const startTimerListener = async (options: TimerListenerOptions): Promise<TimerListener> => {
  const { hosted, schedule, statusFolder } = options
  const keepsStatus = hosted.useMonitor && !schedule.isSubMinute
  const now = Date.now()
  const kept = keepsStatus ? await readStatus(statusFolder, hosted.name) : null
  let status = statusAtStart(kept, schedule, now)
  let stopped = false
  let timeout: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()

  const keep = async (next: ScheduleStatus): Promise<void> => {
    status = next
    if (keepsStatus) await writeStatus(statusFolder, hosted.name, next)
  }

  const trigger = (isPastDue: boolean): RpcValue => timerInfo(keepsStatus ? status : null, isPastDue)

  const run = async (reason: string, isPastDue: boolean): Promise<void> => {
    const begunAt = Date.now()
    await options.run(trigger(isPastDue), reason)
    // A timer that fired a moment early must not find the same occurrence again.
    const basis = reason === scheduled ? Math.max(begunAt, status.next) : begunAt
    await keep({ last: basis, next: schedule.next(basis), lastUpdated: basis })
  }

  const runThenWait = (reason: string, isPastDue: boolean): void => {
    running = run(reason, isPastDue)
      .catch((error: unknown) => {
        const message = `The schedule status of ${hosted.name} could not be kept: ${messageOf(error)}`
        options.onLog({ level: 'error', category: 'Host.Triggers.Timer', message })
      })
      .finally(waitForNext)
  }

  const waitForNext = (): void => {
    if (stopped) return
    const wait = Math.max(status.next - Date.now(), 1)
    timeout =
      wait > waitMillisecondsMax
        ? setTimeout(waitForNext, waitMillisecondsMax)
        : setTimeout(() => runThenWait(scheduled, false), wait)
  }

  await keep(status)
  if (kept !== null && status.next < now) runThenWait('past due', true)
  else if (hosted.runOnStartup) runThenWait('run on startup', false)
  else waitForNext()

  return {
    manualTrigger: () => trigger(false),
    stop: async () => {
      stopped = true
      clearTimeout(timeout)
      await running
    },
  }
}

const scheduled = 'schedule'
