import { describe, expect, it } from 'vitest'
import { createSlots } from '../../functions/transfer-slots.ts'

describe('the slots of a worker process', () => {
  it('let no more tasks run at once than there are, in the order they came, and are given back by those that fail', async () => {
    const slots = createSlots(2)
    const order: number[] = []
    let running = 0
    let most = 0
    const task = (number: number) => async () => {
      order.push(number)
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 2))
      running -= 1
      if (number % 3 === 0) throw new Error(`task ${number}`)
      return number
    }
    const ends = await Promise.allSettled(Array.from({ length: 10 }, (_, number) => slots(task(number))))
    expect(most).toBe(2)
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(ends.map(({ status }) => status === 'rejected')).toEqual(order.map((number) => number % 3 === 0))
    expect(await slots(async () => 'free again')).toBe('free again')
  })

  it('are taken several at a time by larger tasks, which smaller ones behind do not overtake', async () => {
    const slots = createSlots(4)
    const order: string[] = []
    let taken = 0
    let most = 0
    const task = (name: string, count: number) =>
      slots(async () => {
        order.push(name)
        taken += Math.min(count, 4)
        most = Math.max(most, taken)
        await new Promise((resolve) => setTimeout(resolve, 5))
        taken -= Math.min(count, 4)
      }, count)
    await Promise.all([task('a', 1), task('b', 2), task('large', 9), task('c', 1), task('d', 2), task('e', 2)])
    expect(order).toEqual(['a', 'b', 'large', 'c', 'd', 'e'])
    expect(most).toBe(4)
  })
})
