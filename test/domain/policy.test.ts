import { describe, expect, it } from 'vitest'
import { isId } from '../../shared/domain/ids.ts'
import { backupJobOf, consistencyFor, defaultChoices, dueSlot } from '../../shared/domain/policy.ts'
import { expectedEndOf, percentOf } from '../../shared/domain/progress.ts'
import { sampleVm } from '../jobs/world.ts'

const daily = { schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' } } as const
const weekly = { schedule: { kind: 'weekly', days: ['monday'], times: ['02:00'], timeZone: 'UTC' } } as const
const slot = new Date('2026-03-10T02:00:00Z')
const occasion = {
  trigger: 'schedule',
  policy: 'daily',
  at: slot,
  cause: 'daily',
  now: new Date('2026-03-10T02:03:00Z'),
  windowHours: 24,
} as const

describe('a policy', () => {
  it('is due from its slot on', () => {
    expect(dueSlot(daily, new Date('2026-03-10T02:00:00Z'))).toEqual(slot)
    expect(dueSlot(daily, new Date('2026-03-11T01:59:59Z'))).toEqual(slot)
  })

  it('does not catch up a slot that is older than a day', () => {
    expect(dueSlot(weekly, new Date('2026-03-10T02:00:00Z'))).toEqual(new Date('2026-03-09T02:00:00Z'))
    expect(dueSlot(weekly, new Date('2026-03-10T02:00:01Z'))).toBeNull()
  })
})

describe('the job of a slot', () => {
  const vm = sampleVm()
  it('has one id, whenever the sweep makes it', () => {
    const first = backupJobOf(vm, defaultChoices, occasion)
    const second = backupJobOf(vm, defaultChoices, { ...occasion, now: new Date('2026-03-10T09:00:00Z') })
    expect(second.jobId).toBe(first.jobId)
    expect(isId(first.recoveryPointId) && second.recoveryPointId > first.recoveryPointId).toBe(true)
    expect(isId(first.jobId)).toBe(true)
  })

  it('has another id for another slot, policy or VM', () => {
    const ids = [
      backupJobOf(vm, defaultChoices, occasion),
      backupJobOf(vm, defaultChoices, { ...occasion, at: new Date('2026-03-11T02:00:00Z') }),
      backupJobOf(vm, defaultChoices, { ...occasion, cause: 'weekly' }),
      backupJobOf({ ...vm, vmKey: 'other-0123456789ab' }, defaultChoices, occasion),
    ].map(({ jobId }) => jobId)
    expect(new Set(ids).size).toBe(4)
  })

  it('ends its window after the policy’s hours, and never beyond five days', () => {
    expect(backupJobOf(vm, { ...defaultChoices, windowHours: 6 }, occasion).deadline).toBe('2026-03-10T08:03:00.000Z')
    expect(backupJobOf(vm, defaultChoices, { ...occasion, windowHours: 168 }).deadline).toBe('2026-03-15T02:03:00.000Z')
  })

  it('asks for what the VM can give where nobody chose', () => {
    expect(consistencyFor({ osType: 'Windows', isRunning: true })).toBe('application')
    expect(consistencyFor({ osType: 'Linux', isRunning: true })).toBe('fileSystem')
    expect(consistencyFor({ osType: 'Windows', isRunning: false })).toBe('crash')
    expect(backupJobOf(vm, { ...defaultChoices, consistency: 'crash' }, occasion).consistency).toBe('crash')
  })
})

describe('progress', () => {
  it('ends at the speed that it had', () =>
    expect(expectedEndOf(new Date(0), new Date(60_000), 25, 100)).toEqual(new Date(240_000)))
  it('says nothing while nothing has moved', () => {
    expect(expectedEndOf(new Date(0), new Date(60_000), 0, 100)).toBeNull()
    expect(expectedEndOf(new Date(60_000), new Date(60_000), 10, 100)).toBeNull()
  })
  it('is never more than all, and all where there is nothing to do', () => {
    expect(percentOf(999, 1000)).toBe(99.9)
    expect(percentOf(2000, 1000)).toBe(100)
    expect(percentOf(0, 0)).toBe(100)
  })
})
