import { describe, expect, it } from 'vitest'
import { keepLatest } from '../../shared/domain/keep-latest.ts'

describe('what is kept of the latest', () => {
  it('is as many as allowed, and what was put in longest ago goes first', () => {
    const kept = new Map<string, number>()
    for (const [at, key] of ['a', 'b', 'c', 'd'].entries()) keepLatest(kept, key, at, 3)
    expect([...kept]).toEqual([
      ['b', 1],
      ['c', 2],
      ['d', 3],
    ])
  })

  it('counts an entry that is put in once more as the newest, with the value that it has then', () => {
    const kept = new Map([
      ['a', 0],
      ['b', 1],
    ])
    keepLatest(kept, 'a', 2, 2)
    keepLatest(kept, 'c', 3, 2)
    expect([...kept]).toEqual([
      ['a', 2],
      ['c', 3],
    ])
  })
})
