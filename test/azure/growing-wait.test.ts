import { describe, expect, it } from 'vitest'
import { growingWait } from '../../shared/azure/growing-wait.ts'

describe('the wait for something that is being made', () => {
  it('grows with its age, from 2 to 15 seconds', () => {
    const since = new Date(1_000_000)
    const waits = [0, 3, 5, 10, 20, 40, 4000].map((age) => growingWait(since, 1_000_000 + age * 1000))
    expect(waits).toEqual([2, 2, 3, 5, 10, 15, 15])
  })
  it('stays within its bounds when the clocks differ', () => {
    expect(growingWait(new Date(5_000_000), 1_000_000)).toBe(2)
    expect(growingWait(undefined)).toBe(2)
  })
})
