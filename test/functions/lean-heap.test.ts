import { describe, expect, it } from 'vitest'
import { createLeanHeap, realHeap } from '../../functions/lean-heap.ts'

const mebibyte = 2 ** 20

/** A heap of which so much is in use; collecting takes the rest away. */
const heapOf = (usedMiB: number) => {
  const state = { heldMiB: usedMiB, collections: 0 }
  const leanHeap = createLeanHeap({
    heldBytes: () => state.heldMiB * mebibyte,
    collect: () => {
      state.collections += 1
      state.heldMiB = usedMiB
    },
  })
  const grownTo = (heldMiB: number, isAlone = false): number => {
    state.heldMiB = heldMiB
    leanHeap(isAlone)
    return state.collections
  }
  return { grownTo }
}

describe('a lean heap', () => {
  it('is left alone while it is small, and collected when it is not', () => {
    const { grownTo } = heapOf(35)
    expect(grownTo(50)).toBe(0)
    expect(grownTo(60)).toBe(1)
  })

  it('may hold what a slice takes once it was collected', () => {
    const { grownTo } = heapOf(35)
    expect(grownTo(60)).toBe(1)
    expect(grownTo(90)).toBe(1)
    expect(grownTo(100)).toBe(2)
  })

  it('may hold a grown young generation where one step moves data alone, until a second one begins', () => {
    const { grownTo } = heapOf(35)
    expect(grownTo(60)).toBe(1)
    expect(grownTo(127, true)).toBe(1)
    expect(grownTo(161, true)).toBe(2)
    expect(grownTo(127, true)).toBe(2)
    expect(grownTo(140, false)).toBe(3)
  })

  it('is not collected again and again where most of it is in use', () => {
    const { grownTo } = heapOf(200)
    expect(grownTo(210)).toBe(1)
    expect(grownTo(245)).toBe(1)
    expect(grownTo(255)).toBe(2)
  })

  it('is collected by the engine itself: what nobody holds is gone when the call returns', () => {
    const gone = new WeakRef({ bytes: new Uint8Array(1024) })
    createLeanHeap({ ...realHeap, heldBytes: () => Number.MAX_SAFE_INTEGER })(false)
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      createLeanHeap({ ...realHeap, heldBytes: () => Number.MAX_SAFE_INTEGER })(false)
      expect(gone.deref()).toBeUndefined()
    })
  })
})
