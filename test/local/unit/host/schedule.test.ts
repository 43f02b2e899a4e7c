import { describe, expect, it } from 'vitest'
import { parseTimeSpan } from '../../../../local/host/time-span.ts'
import { parseNcrontab } from '../../../../local/host/timers/ncrontab.ts'
import { parseSchedule } from '../../../../local/host/timers/schedule.ts'

const nexts = (text: string, from: string, count: number, timeZone = 'UTC'): readonly string[] => {
  const schedule = parseSchedule(text, timeZone)
  const found: string[] = []
  for (let at = Date.parse(from); found.length < count; ) {
    at = schedule.next(at)
    found.push(new Date(at).toISOString())
  }
  return found
}

describe('an NCRONTAB expression', () => {
  it.each([
    ['0 */15 * * * *', '2026-01-01T00:00:00Z', ['2026-01-01T00:15:00.000Z', '2026-01-01T00:30:00.000Z']],
    ['30 5/20 2 * * *', '2026-01-01T00:00:00Z', ['2026-01-01T02:05:30.000Z', '2026-01-01T02:25:30.000Z']],
    ['0 0 8-10/2 * * Mon-Fri', '2026-01-02T09:00:00Z', ['2026-01-02T10:00:00.000Z', '2026-01-05T08:00:00.000Z']],
    ['0 0 0 1 jan,JUL *', '2026-02-01T00:00:00Z', ['2026-07-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z']],
    ['*/5 * * * *', '2026-01-01T00:00:00Z', ['2026-01-01T00:05:00.000Z', '2026-01-01T00:10:00.000Z']],
  ])('%s after %s occurs at %j', (expression, from, expected) => {
    expect(nexts(expression, from, expected.length)).toEqual(expected)
  })

  it('wants day of month and day of week to fit both', () => {
    // The 13th is a Friday in February, March and November of 2026 only.
    expect(nexts('0 0 0 13 * 5', '2026-01-01T00:00:00Z', 3)).toEqual([
      '2026-02-13T00:00:00.000Z',
      '2026-03-13T00:00:00.000Z',
      '2026-11-13T00:00:00.000Z',
    ])
  })

  it('is meant in the time zone of the app', () => {
    expect(nexts('0 0 2 * * *', '2026-01-01T12:00:00Z', 1, 'Europe/Berlin')).toEqual(['2026-01-02T01:00:00.000Z'])
  })

  it('becomes plain lists of numbers', () => {
    expect(parseNcrontab('0 0/20 * * * 1-3')).toEqual({
      second: '0',
      minute: '0,20,40',
      hour: '*',
      day: '*',
      month: '*',
      dayOfWeek: '1,2,3',
    })
  })

  it.each([
    ['0 60 * * * *', /"60" is not a minute \(0 to 59\)/],
    ['0 0 0 * * 7', /"7" is not a dayOfWeek/],
    ['0 0 0 L * *', /"L" is not a day /],
    ['0 0 0 ? * 1#2', /"\?" is not a day /],
    ['0 0 10-8 * * *', /runs backwards/],
    ['0 */0 * * * *', /no valid step/],
    ['0 0 0 31 2 *', /never occurs/],
    ['0 0 0 1 * * 2026', /six fields/],
    ['@daily now', /six fields/],
  ])('%s is refused', (expression, message) => {
    expect(() => parseSchedule(expression, 'UTC')).toThrow(message)
  })
})

describe('a schedule', () => {
  it('may be a time span', () => {
    expect(nexts('1.02:03:04', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-02T02:03:04.000Z'])
  })

  it('that is neither is refused with an example of each', () => {
    expect(() => parseSchedule('24:00:00', 'UTC')).toThrow(/such as "0 \*\/15 \* \* \* \*" nor .* "00:15:00"/)
  })

  it('wants an IANA time zone', () => {
    expect(() => parseSchedule('00:15:00', 'W. Europe Standard Time')).toThrow(/IANA/)
  })

  it.each([
    ['*/10 * * * * *', true],
    ['0,30 * * * * *', true],
    ['5 * * * * *', false],
    ['*/10 0 * * * *', false],
    ['00:00:59', true],
    ['00:01:00', false],
  ])('%s occurs more than once a minute: %s', (text, isSubMinute) => {
    expect(parseSchedule(text, 'UTC').isSubMinute).toBe(isSubMinute)
  })
})

describe('a time span', () => {
  it.each([
    ['00:30:00', 1_800_000],
    ['01:30', 5_400_000],
    ['2.00:00:00.5', 172_800_500],
    ['24:00:00', null],
    ['00:60:00', null],
    ['-1', null],
    ['', null],
  ])('%s is %s ms', (text, milliseconds) => {
    expect(parseTimeSpan(text)).toBe(milliseconds)
  })
})
