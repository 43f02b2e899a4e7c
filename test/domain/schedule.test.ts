import { describe, expect, it } from 'vitest'
import { isTimeZone, latestSlot, type Schedule, weekdays } from '../../shared/domain/schedule.ts'
import { fc } from '../support/fast-check.ts'

const at = (schedule: Schedule, now: string) => latestSlot(schedule, new Date(now))?.toISOString() ?? null
const daily = (timeZone: string, ...times: string[]): Schedule => ({ kind: 'daily', times, timeZone })

describe('a daily schedule', () => {
  it.each([
    ['the slot of today', '2026-03-10T05:00:00Z', '2026-03-10T01:00:00.000Z'],
    ['the slot of yesterday before today’s', '2026-03-10T00:59:59Z', '2026-03-09T01:00:00.000Z'],
    ['a slot at its very moment', '2026-03-10T01:00:00Z', '2026-03-10T01:00:00.000Z'],
    ['summer time', '2026-07-10T05:00:00Z', '2026-07-10T00:00:00.000Z'],
  ])('gives %s', (_what, now, slot) => expect(at(daily('Europe/Berlin', '02:00'), now)).toBe(slot))

  it('moves a time that the day does not have by the gap', () =>
    expect(at(daily('Europe/Berlin', '02:30'), '2026-03-29T12:00:00Z')).toBe('2026-03-29T01:30:00.000Z'))

  it('takes a time that the day has twice once, the first time', () => {
    expect(at(daily('Europe/Berlin', '02:30'), '2026-10-25T00:45:00Z')).toBe('2026-10-25T00:30:00.000Z')
    expect(at(daily('Europe/Berlin', '02:30'), '2026-10-25T02:00:00Z')).toBe('2026-10-25T00:30:00.000Z')
  })

  it('takes the latest of several times, whatever their order', () =>
    expect(at(daily('UTC', '22:00', '04:00', '10:00'), '2026-03-10T11:00:00Z')).toBe('2026-03-10T10:00:00.000Z'))

  it.each([
    ['Pacific/Kiritimati', '2026-03-10T11:00:00Z', '2026-03-10T10:30:00.000Z', '00:30'],
    ['Pacific/Apia', '2011-12-31T12:00:00Z', '2011-12-31T10:30:00.000Z', '00:30'],
    ['Asia/Kathmandu', '2026-03-10T11:00:00Z', '2026-03-09T18:45:00.000Z', '00:30'],
    ['America/St_Johns', '2026-07-10T11:00:00Z', '2026-07-10T03:00:00.000Z', '00:30'],
  ])('follows the clock of %s', (timeZone, now, slot, time) => expect(at(daily(timeZone, time), now)).toBe(slot))
})

describe('a weekly schedule', () => {
  const weekly: Schedule = {
    kind: 'weekly',
    days: ['sunday', 'wednesday'],
    times: ['23:30'],
    timeZone: 'America/New_York',
  }
  it('counts days by the wall clock of its zone', () => {
    expect(at(weekly, '2026-03-12T12:00:00Z')).toBe('2026-03-12T03:30:00.000Z')
    expect(at(weekly, '2026-03-12T03:29:59Z')).toBe('2026-03-09T03:30:00.000Z')
  })
  it('reaches a week back', () =>
    expect(at({ ...weekly, days: ['sunday'] }, '2026-03-16T03:00:00Z')).toBe('2026-03-09T03:30:00.000Z'))
})

describe('an hourly schedule', () => {
  it('counts from midnight of its zone', () => {
    const hourly: Schedule = { kind: 'hourly', everyHours: 6, timeZone: 'Asia/Kolkata' }
    expect(at(hourly, '2026-03-10T07:00:00Z')).toBe('2026-03-10T06:30:00.000Z')
  })
})

const schedules: fc.Arbitrary<Schedule> = fc
  .record({
    kind: fc.constantFrom('daily' as const, 'weekly' as const, 'hourly' as const),
    days: fc.uniqueArray(fc.constantFrom(...weekdays), { minLength: 1 }),
    minutes: fc.uniqueArray(fc.integer({ min: 0, max: 1439 }), { minLength: 1, maxLength: 4 }),
    everyHours: fc.constantFrom(1, 2, 3, 4, 6, 8, 12, 24),
    timeZone: fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
      'America/Sao_Paulo',
      'Pacific/Chatham',
    ),
  })
  .map(({ kind, days, minutes, everyHours, timeZone }): Schedule => {
    const times = minutes.map(
      (m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`,
    )
    if (kind === 'hourly') return { kind, everyHours, timeZone }
    return kind === 'daily' ? { kind, times, timeZone } : { kind, days, times, timeZone }
  })
const instants = fc.date({
  min: new Date('2020-01-01T00:00:00Z'),
  max: new Date('2032-01-01T00:00:00Z'),
  noInvalidDate: true,
})
const hour = 3_600_000

describe('the latest slot', () => {
  it('is never in the future and never more than eight days old', () =>
    fc.assert(
      fc.property(schedules, instants, (schedule, now) => {
        const age = now.getTime() - latestSlot(schedule, now)!.getTime()
        expect(age).toBeGreaterThanOrEqual(0)
        expect(age).toBeLessThan(8 * 24 * hour)
      }),
    ))

  it('is its own latest slot', () =>
    fc.assert(
      fc.property(schedules, instants, (schedule, now) => {
        const slot = latestSlot(schedule, now)!
        expect(latestSlot(schedule, slot)).toEqual(slot)
      }),
    ))

  it('never goes back as time goes on', () =>
    fc.assert(
      fc.property(schedules, instants, fc.integer({ min: 0, max: 72 * hour }), (schedule, now, laterMs) => {
        const later = new Date(now.getTime() + laterMs)
        expect(latestSlot(schedule, later)!.getTime()).toBeGreaterThanOrEqual(latestSlot(schedule, now)!.getTime())
      }),
    ))

  it('comes every day of a daily schedule: 23 to 25 hours apart', () =>
    fc.assert(
      fc.property(schedules, instants, (schedule, now) => {
        fc.pre(schedule.kind === 'daily' && schedule.times.length === 1)
        const slot = latestSlot(schedule, now)!
        const before = latestSlot(schedule, new Date(slot.getTime() - 1))!
        expect((slot.getTime() - before.getTime()) / hour).toBeGreaterThanOrEqual(23)
        expect((slot.getTime() - before.getTime()) / hour).toBeLessThanOrEqual(25)
      }),
    ))

  it('shows a time of the schedule on the wall clock, but where the clock jumped over it', () =>
    fc.assert(
      fc.property(schedules, instants, (schedule, now) => {
        fc.pre(schedule.kind === 'daily')
        const slot = latestSlot(schedule, now)!
        const shown = new Intl.DateTimeFormat('en-GB', { timeZone: schedule.timeZone, timeStyle: 'short' }).format(slot)
        const jumped = new Intl.DateTimeFormat('en-GB', { timeZone: schedule.timeZone, timeZoneName: 'longOffset' })
        const offsetOf = (ms: number) => jumped.formatToParts(ms).find(({ type }) => type === 'timeZoneName')!.value
        const isGap = offsetOf(slot.getTime()) !== offsetOf(slot.getTime() - 2 * hour)
        if (!isGap && schedule.kind === 'daily') expect(schedule.times).toContain(shown)
      }),
    ))
})

describe('a time zone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires'])('%s is known', (name) =>
    expect(isTimeZone(name)).toBe(true),
  )
  it.each(['', 'Mars/Olympus', '+02:00', 'Europe/Berlin; drop'])('"%s" is not', (name) =>
    expect(isTimeZone(name)).toBe(false),
  )
})
