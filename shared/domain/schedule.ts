/** When a policy's backups are due, in the customer's time zone. Times are `HH:MM` of the wall clock. */
export type Schedule =
  | { readonly kind: 'daily'; readonly times: readonly string[]; readonly timeZone: string }
  | {
      readonly kind: 'weekly'
      readonly days: readonly Weekday[]
      readonly times: readonly string[]
      readonly timeZone: string
    }
  /** Every so many hours of the wall clock, counted from midnight; a divisor of 24. */
  | { readonly kind: 'hourly'; readonly everyHours: number; readonly timeZone: string }

/** In the order of Date.getUTCDay. */
export const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const
/** A day of the week as policies name it. */
export type Weekday = (typeof weekdays)[number]

const dayMs = 24 * 3600 * 1000

/** The latest slot at or before `now`, or null where the schedule has none in the eight days before it. Daylight saving is followed: a
 * time that a day does not have (clocks go forward) is moved by the gap, one that it has twice counts once, the first time. */
export const latestSlot = (schedule: Schedule, now: Date): Date | null => {
  const today = wallDay(schedule.timeZone, now)
  for (let daysBack = -1; daysBack <= 8; daysBack++) {
    const day = today - daysBack * dayMs
    const due = slotsOfDay(schedule, day).filter((slot) => slot <= now.getTime())
    if (due.length > 0) return new Date(Math.max(...due))
  }
  return null
}

/** @param day midnight of a calendar day, as if it were UTC
 * @returns instants in ms; empty on a day that is not in the schedule */
const slotsOfDay = (schedule: Schedule, day: number): readonly number[] => {
  if (schedule.kind === 'weekly' && !schedule.days.includes(weekdays[new Date(day).getUTCDay()]!)) return []
  return minutesOf(schedule).map((minutes) => instantOf(schedule.timeZone, day + minutes * 60_000))
}

const minutesOf = (schedule: Schedule): readonly number[] =>
  schedule.kind === 'hourly'
    ? Array.from({ length: Math.floor(24 / schedule.everyHours) }, (_, n) => n * schedule.everyHours * 60)
    : schedule.times.map((time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5)))

/** @param wall a wall-clock time, as if it were UTC */
const instantOf = (timeZone: string, wall: number): number => {
  const before = offsetMs(timeZone, wall - dayMs)
  const after = offsetMs(timeZone, wall + dayMs)
  const exact = [wall - before, wall - after].filter((instant) => instant + offsetMs(timeZone, instant) === wall)
  return exact.length > 0 ? Math.min(...exact) : wall - before
}

const wallDay = (timeZone: string, now: Date): number =>
  Math.floor((now.getTime() + offsetMs(timeZone, now.getTime())) / dayMs) * dayMs

/** The wall clock of the zone at an instant, as if it were UTC. */
export const wallTime = (timeZone: string, at: Date): Date => new Date(at.getTime() + offsetMs(timeZone, at.getTime()))

/** How far the zone's clock is ahead of UTC at an instant. */
const offsetMs = (timeZone: string, instant: number): number => {
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  )
  const wall = Date.UTC(parts.year!, parts.month! - 1, parts.day, parts.hour, parts.minute, parts.second)
  return wall - Math.floor(instant / 1000) * 1000
}

const formats = new Map<string, Intl.DateTimeFormat>()

const formatOf = (timeZone: string): Intl.DateTimeFormat => {
  const known = formats.get(timeZone)
  if (known !== undefined) return known
  const fields = {
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  } as const
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    ...fields,
  })
  formats.set(timeZone, made)
  return made
}

/** True for names of the IANA time zone database that this runtime knows. */
export const isTimeZone = (name: string): boolean => {
  try {
    return /^[A-Za-z]/.test(name) && formatOf(name) !== null
  } catch {
    return false
  }
}
