import { describe, expect, it } from 'vitest'
import { FleetError } from '../../../../local/compute/fleet.ts'
import { type FleetPolicy, parsePolicies, withNextDueTime } from '../../../../local/demo/policies.ts'
import { dueSlot } from '../../../../shared/domain/policy.ts'
import { createMemoryBlobStore } from '../../../support/memory-blob-store.ts'

const document = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
}

const parsed = async (): Promise<FleetPolicy> => (await parsePolicies('fleet.json', [document]))[0]!

describe('the policies of a fleet file', () => {
  it('may be absent', async () => {
    expect(await parsePolicies('fleet.json', undefined)).toEqual([])
  })

  it('are read by the rules of the app', async () => {
    expect(await parsed()).toMatchObject({ document, policy: { name: 'daily', source: 'restorePoints' } })
  })

  it.each([
    ['no list', { daily: document }, 'policies: '],
    ['no name', [{ ...document, name: undefined }], 'policies.0.name'],
    ['one name twice', [document, document], 'policies.1.name'],
    ['an unknown field', [{ ...document, schedules: [] }], 'schedules'],
    [
      'an unknown time zone',
      [{ ...document, schedule: { ...document.schedule, timeZone: 'Mars' } }],
      'schedule.timeZone',
    ],
  ])('are refused with file and field: %s', async (_name, policies, field) => {
    await expect(parsePolicies('my/fleet.json', policies)).rejects.toThrow('my/fleet.json')
    await expect(parsePolicies('my/fleet.json', policies)).rejects.toThrow(field)
  })

  it('are told all that is wrong with all of them, each with its fix', async () => {
    const { schedule, ...others } = document
    const error = await parsePolicies('fleet.json', [
      { ...document, retention: { days: 7, daily: 0 }, compression: 'gzip' },
      document,
      { ...others, name: 'weekly', colour: 'red' },
      { ...document },
    ]).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(FleetError)
    const told = (error as FleetError).problems.map(({ field, fix }) => `${field}: ${fix}`).sort()
    expect(told).toEqual([
      'policies.0.compression: Expected "zstd" or "none".',
      expect.stringMatching(/^policies\.0\.retention\.daily: .*1/),
      'policies.0.retention.days: This field is not known; remove it, or use one of: daily, weekly, monthly, yearly.',
      'policies.1.name: "daily" is taken; choose another',
      expect.stringMatching(
        /^policies\.2\.colour: This field is not known; .*name, selection, schedule, .*retention\.$/,
      ),
      'policies.2.schedule: This field is missing; add it.',
      'policies.3.name: "daily" is taken; choose another',
    ])
  })
})

describe('a policy that is made due', () => {
  it('has a slot that has come, and a new one each time, past midnight too', async () => {
    const control = createMemoryBlobStore()
    const now = new Date('2026-03-01T00:04:30Z')
    const slots: number[] = []
    for (let run = 0; run < 8; run += 1) {
      const { policy } = await withNextDueTime(control, await parsed(), now)
      slots.push(dueSlot(policy, now)?.getTime() ?? Number.NaN)
    }
    expect(slots[0]).toBe(Date.parse('2026-02-28T23:54:00Z'))
    expect(slots.map((slot) => slot - slots[0]!)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((minutes) => minutes * 60_000))
    expect(Math.max(...slots)).toBeLessThanOrEqual(now.getTime())
  })

  it('keeps everything else of its document', async () => {
    const due = await withNextDueTime(createMemoryBlobStore(), await parsed(), new Date('2026-03-01T12:00:00Z'))
    expect(due.document).toEqual({ ...document, schedule: { kind: 'daily', times: ['11:50'], timeZone: 'UTC' } })
  })
})
