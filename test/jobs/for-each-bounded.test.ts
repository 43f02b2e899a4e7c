import { describe, expect, it } from 'vitest'
import { forEachBounded } from '../../shared/jobs/for-each-bounded.ts'

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('work on a list', () => {
  it('has ended when the list breaks off and its error is thrown', async () => {
    async function* items() {
      yield 1
      yield 2
      await tick()
      throw new Error('the listing is throttled')
    }
    const done: number[] = []
    const work = forEachBounded(items(), 8, async (item) => {
      for (let turns = 0; turns < 5; turns++) await tick()
      done.push(item)
    })
    await expect(work).rejects.toThrow('throttled')
    expect(done).toEqual([1, 2])
  })

  it('takes no new items after an error, and never more at once than it may', async () => {
    let atOnce = 0
    let most = 0
    const seen: number[] = []
    const work = forEachBounded([1, 2, 3, 4, 5, 6, 7, 8], 3, async (item) => {
      seen.push(item)
      most = Math.max(most, ++atOnce)
      await tick()
      atOnce -= 1
      if (item === 4) throw new Error('four')
    })
    await expect(work).rejects.toThrow('four')
    expect(most).toBe(3)
    expect(seen.length).toBeLessThan(8)
    expect(atOnce).toBe(0)
  })
})
