import { afterEach, describe, expect, it } from 'vitest'
import { dropKeptMemory, giveBackMemory, takeMemory } from '../../shared/vault/kept-memory.ts'

const mebibyte = 2 ** 20

/** Memory is told apart by what lies in it: new memory is another array buffer. */
const given = (lengthBytes: number): ArrayBufferLike => {
  const memory = takeMemory(lengthBytes)
  giveBackMemory(memory)
  return memory.buffer
}

describe('memory that slices leave to each other', () => {
  afterEach(dropKeptMemory)

  it('is given to the next that needs as much or somewhat less, in the length that was asked for', () => {
    const first = given(4 * mebibyte)
    const second = takeMemory(3 * mebibyte)
    expect(second.buffer).toBe(first)
    expect(second.length).toBe(3 * mebibyte)
  })

  it('is whole again when it comes back', () => {
    const first = given(4 * mebibyte)
    giveBackMemory(takeMemory(3 * mebibyte))
    expect(takeMemory(4 * mebibyte).buffer).toBe(first)
  })

  it('is never in two hands', () => {
    const first = takeMemory(mebibyte)
    const second = takeMemory(mebibyte)
    expect(second.buffer).not.toBe(first.buffer)
    giveBackMemory(first)
    giveBackMemory(second)
    const again = [takeMemory(mebibyte).buffer, takeMemory(mebibyte).buffer, takeMemory(mebibyte).buffer]
    expect(new Set(again).size).toBe(3)
  })

  it('is not wasted on a need of less than half, and makes way for what it cannot serve', () => {
    const large = given(4 * mebibyte)
    expect(takeMemory(mebibyte).buffer).not.toBe(large)
    expect(large.byteLength).toBe(0)
  })

  it('is given back to the system where more would be kept than one slice needs', () => {
    const all = Array.from({ length: 4 }, () => takeMemory(16 * mebibyte))
    for (const memory of all) giveBackMemory(memory)
    expect(all.map(({ buffer }) => buffer.byteLength > 0)).toEqual([false, true, true, true])
  })

  it('is none where buffers are small', () => {
    expect(given(64 * 1024)).not.toBe(takeMemory(64 * 1024).buffer)
  })
})
