import { Cron } from 'croner'
import { parseTimeSpan } from '../time-span.ts'
import { parseNcrontab } from './ncrontab.ts'

/** When a timer function runs. */
export interface Schedule {
  /** The first occurrence after an instant, in milliseconds of the epoch. */
  next(afterMilliseconds: number): number
  /** More than one occurrence a minute: no status is kept for such timers, as on the real host. */
  readonly isSubMinute: boolean
}

const minuteMilliseconds = 60_000

const constantSchedule = (period: number): Schedule => ({
  next: (after) => after + period,
  isSubMinute: period < minuteMilliseconds,
})

const cronSchedule = (expression: string, timeZone: string): Schedule => {
  const { second, minute, hour, day, month, dayOfWeek } = parseNcrontab(expression)
  const cron = new Cron(`${second} ${minute} ${hour} ${day} ${month} ${dayOfWeek}`, {
    mode: '6-part',
    paused: true,
    timezone: timeZone,
    // NCRONTAB wants day and day of week to fit both; cron's own rule is one or the other.
    domAndDow: true,
  })
  const next = (after: number): number => {
    const occurrence = cron.nextRun(new Date(after))
    if (occurrence === null) throw new Error(`The schedule "${expression}" never occurs.`)
    return occurrence.getTime()
  }
  const everyMinute = [minute, hour, day, month, dayOfWeek].every((field) => field === '*')
  return { next, isSubMinute: everyMinute && (second === '*' || second.includes(',')) }
}

const checkTimeZone = (timeZone: string): void => {
  try {
    new Intl.DateTimeFormat('en', { timeZone })
  } catch (error) {
    const message = `WEBSITE_TIME_ZONE "${timeZone}" is not an IANA time zone such as "Europe/Berlin".`
    throw new Error(message, { cause: error })
  }
}

/**
 * Reads a timer's schedule: an NCRONTAB expression, or a TimeSpan for a constant period.
 * @param text with app settings already in place
 * @param timeZone IANA name in which cron fields are meant; the real host's default is UTC
 * @throws where it is neither, or never occurs
 */
export const parseSchedule = (text: string, timeZone: string): Schedule => {
  checkTimeZone(timeZone)
  if (!text.trim().includes(' ')) {
    const period = parseTimeSpan(text)
    if (period !== null && period > 0) return constantSchedule(period)
    throw new Error(
      `The schedule "${text}" is neither a cron expression such as "0 */15 * * * *" nor a time span such as "00:15:00".`,
    )
  }
  const schedule = cronSchedule(text, timeZone)
  schedule.next(Date.now())
  return schedule
}
