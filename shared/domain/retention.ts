import { wallTime } from './schedule.ts'

/** How long recovery points are kept: the newest of each of so many days, weeks, months, years that have one. */
export interface Retention {
  readonly daily?: number | undefined
  readonly weekly?: number | undefined
  readonly monthly?: number | undefined
  readonly yearly?: number | undefined
}

/** What retention knows of a recovery point. */
export interface PointInTime {
  readonly recoveryPointId: string
  /** ISO 8601, UTC. */
  readonly takenAt: string
  /** Some of it is known to be lost. */
  readonly isDamaged?: boolean
}

const dayMs = 24 * 3600 * 1000
/** 1970-01-01 was a Thursday; weeks begin on Monday, as in ISO 8601. */
const mondayOffsetDays = 3

/** The period that a wall-clock time falls in. */
const periods = {
  daily: (wall) => String(Math.floor(wall.getTime() / dayMs)),
  weekly: (wall) => String(Math.floor((wall.getTime() / dayMs + mondayOffsetDays) / 7)),
  monthly: (wall) => wall.toISOString().slice(0, 7),
  yearly: (wall) => wall.toISOString().slice(0, 4),
} as const satisfies Record<keyof Retention, (wall: Date) => string>

/** The recovery points that no rule keeps, oldest first. The rules are united: what one of them keeps is kept. Periods without a sound recovery
 * point do not count, so a VM that was not backed up for a year keeps what it has. A damaged one is never kept in the place of a sound one: the
 * newest of a period is chosen among the sound ones, and where a period that the rules reach has damaged ones alone, all of these are kept, too.
 * The newest is always kept, and so is the newest sound one.
 * @param retentions one for each policy; a retention without any rule keeps everything
 * @param timeZone IANA name: where days begin */
export const toExpire = <Point extends PointInTime>(
  points: readonly Point[],
  retentions: readonly Retention[],
  timeZone: string,
): readonly Point[] => {
  const newestFirst = [...points].sort(compareNewestFirst)
  const kept = new Set<Point>(newestFirst.slice(0, 1))
  const newestSound = newestFirst.find(isSound)
  if (newestSound !== undefined) kept.add(newestSound)
  for (const retention of retentions) {
    if (rulesOf(retention).length === 0) return []
    for (const [rule, count] of rulesOf(retention))
      for (const point of keptOfEach(newestFirst, count, (at) => periods[rule](wallTime(timeZone, at)))) kept.add(point)
  }
  return retentions.length === 0 ? [] : newestFirst.filter((point) => !kept.has(point)).reverse()
}

const isSound = ({ isDamaged = false }: PointInTime): boolean => !isDamaged

const rulesOf = (retention: Retention): (readonly [keyof Retention, number])[] =>
  (Object.keys(periods) as (keyof Retention)[]).flatMap((rule) => {
    const count = retention[rule]
    return count === undefined ? [] : [[rule, count] as const]
  })

const compareNewestFirst = (a: PointInTime, b: PointInTime): number =>
  Date.parse(b.takenAt) - Date.parse(a.takenAt) || (a.recoveryPointId < b.recoveryPointId ? 1 : -1)

/** Of each period down to the last one that counts: its newest sound point, or all its damaged ones where it has no sound one. */
const keptOfEach = <Point extends PointInTime>(
  newestFirst: readonly Point[],
  count: number,
  periodOf: (at: Date) => string,
): readonly Point[] => {
  const sound = new Map<string, Point>()
  const damaged: { readonly point: Point; readonly period: string }[] = []
  for (const point of newestFirst) {
    const period = periodOf(new Date(point.takenAt))
    if (sound.size === count && !sound.has(period)) break
    if (!isSound(point)) damaged.push({ point, period })
    else if (!sound.has(period)) sound.set(period, point)
  }
  return [...sound.values(), ...damaged.filter(({ period }) => !sound.has(period)).map(({ point }) => point)]
}
