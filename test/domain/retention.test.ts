import { describe, expect, it } from 'vitest'
import { type PointInTime, type Retention, toExpire } from '../../shared/domain/retention.ts'
import { fc } from '../support/fast-check.ts'

const at = (takenAt: string): PointInTime => ({ recoveryPointId: takenAt, takenAt })
const days = (count: number, from = Date.UTC(2026, 0, 1, 2)): PointInTime[] =>
  Array.from({ length: count }, (_, day) => at(new Date(from + day * 24 * 3600 * 1000).toISOString()))
const keptOf = (points: readonly PointInTime[], retentions: readonly Retention[], timeZone = 'UTC'): string[] => {
  const ending = new Set(toExpire(points, retentions, timeZone))
  return points.filter((point) => !ending.has(point)).map(({ takenAt }) => takenAt.slice(0, 10))
}

describe('a retention', () => {
  it('keeps the newest of so many days', () => {
    const points = [at('2026-01-01T02:00:00Z'), at('2026-01-01T22:00:00Z'), at('2026-01-02T02:00:00Z')]
    expect(toExpire(points, [{ daily: 2 }], 'UTC')).toEqual([points[0]])
  })

  it('counts days, weeks, months and years that have a recovery point, and unites them', () => {
    const kept = keptOf(days(400), [{ daily: 3, weekly: 2, monthly: 2, yearly: 2 }])
    // 2027-02-04 is a Thursday; the week before ends on Sunday 2027-01-31, which is the newest of January, too.
    expect(kept).toEqual(['2026-12-31', '2027-01-31', '2027-02-02', '2027-02-03', '2027-02-04'])
  })

  it('does not count days without a recovery point', () => {
    const points = [at('2020-05-05T00:00:00Z'), at('2023-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z')]
    expect(toExpire(points, [{ daily: 3 }], 'UTC')).toEqual([])
  })

  it('begins days where the policy’s time zone does', () => {
    const points = [at('2026-01-01T22:30:00Z'), at('2026-01-01T23:30:00Z')]
    expect(toExpire(points, [{ daily: 2 }], 'UTC')).toEqual([points[0]])
    expect(toExpire(points, [{ daily: 2 }], 'Europe/Berlin')).toEqual([])
  })

  it('keeps everything where nobody says how long, or a policy has no rule', () => {
    expect(toExpire(days(9), [], 'UTC')).toEqual([])
    expect(toExpire(days(9), [{}, { daily: 1 }], 'UTC')).toEqual([])
  })

  it('keeps what one of several policies keeps', () => {
    expect(keptOf(days(30), [{ daily: 1 }, { weekly: 2 }])).toEqual(['2026-01-25', '2026-01-30'])
  })

  it('keeps a sound one of a period, be a damaged one of it newer', () => {
    const [older, sound, damaged] = ['01', '02', '03'].map((hour) => at(`2026-01-01T${hour}:00:00Z`))
    const next = at('2026-01-02T02:00:00Z')
    const points = [older!, sound!, { ...damaged!, isDamaged: true }, next]
    expect(toExpire(points, [{ daily: 2 }], 'UTC')).toEqual([older, points[2]])
  })

  it('does not count periods that have damaged ones alone, and keeps these as far as the rules reach', () => {
    const points = days(6).map((point, day) => ({ ...point, isDamaged: day === 0 || day === 3 || day === 4 }))
    expect(toExpire(points, [{ daily: 2 }], 'UTC')).toEqual([points[0], points[1]])
    expect(toExpire(points, [{ daily: 3 }], 'UTC')).toEqual([points[0]])
    expect(toExpire(points, [{ daily: 4 }], 'UTC')).toEqual([])
  })

  it('keeps the newest sound one next to a damaged newest', () => {
    const points = days(3).map((point, day) => ({ ...point, isDamaged: day === 2 }))
    expect(toExpire(points, [{ yearly: 1 }], 'UTC')).toEqual([points[0]])
    expect(toExpire([points[2]!], [{ daily: 1 }], 'UTC')).toEqual([])
  })

  it('names what ends oldest first', () => {
    const ending = toExpire([...days(5)].reverse(), [{ daily: 1 }], 'UTC').map(({ takenAt }) => takenAt)
    expect(ending).toEqual([...ending].sort())
  })

  const points = fc.uniqueArray(fc.integer({ min: 0, max: 5_000 }), { maxLength: 60 }).map((hours) =>
    hours.map((hour) => ({
      ...at(new Date(Date.UTC(2025, 0, 1) + hour * 3_600_000).toISOString()),
      isDamaged: hour % 3 === 0,
    })),
  )
  const count = fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined })
  const retention = fc.record({ daily: count, weekly: count, monthly: count, yearly: count })

  it('never ends the newest, ends nothing more when asked again, and ends less under more rules', async () => {
    await fc.assert(
      fc.property(points, retention, retention, (all, one, other) => {
        const ending = toExpire(all, [one], 'UTC')
        const newestFirst = [...all].sort((a, b) => (a.takenAt < b.takenAt ? 1 : -1))
        expect(ending).not.toContain(newestFirst[0])
        expect(ending).not.toContain(newestFirst.find(({ isDamaged }) => !isDamaged))
        // What becomes of the sound ones is as if there were no others.
        const sound = all.filter(({ isDamaged }) => !isDamaged)
        expect(ending.filter(({ isDamaged }) => !isDamaged)).toEqual(
          toExpire(sound, [one], 'UTC').filter((point) => point !== newestFirst[0]),
        )
        const left = all.filter((point) => !ending.includes(point))
        expect(toExpire(left, [one], 'UTC')).toEqual([])
        for (const point of toExpire(all, [one, other], 'UTC')) expect(ending).toContain(point)
      }),
    )
  })
})
