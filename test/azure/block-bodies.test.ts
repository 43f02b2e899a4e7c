import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { blockBytesMin, blocksOf, bodyOf, lengthOf } from '../../shared/azure/block-bodies.ts'
import { fc } from '../support/fast-check.ts'

const mebibyte = 1024 * 1024

/** Yields parts in one buffer that it uses again, as a pooled producer does. Each part is filled with its own ordinal. */
async function* pooled(lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  const pool = Buffer.alloc(Math.max(1, ...lengths))
  for (const [index, length] of lengths.entries()) yield pool.fill(index + 1).subarray(0, length)
}

describe('the blocks of a stream', () => {
  it('are the parts in order, whatever their sizes, though their producer uses its buffer again', async () => {
    const lengths = fc.array(fc.oneof(fc.nat(3000), fc.integer({ min: mebibyte, max: 6 * mebibyte })), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(lengths, async (parts) => {
        const copies: Buffer[] = []
        const sizes: number[] = []
        for await (const block of blocksOf(pooled(parts))) {
          copies.push(Buffer.from(block))
          sizes.push(block.byteLength)
        }
        const expected = Buffer.concat(parts.map((length, index) => Buffer.alloc(length, index + 1)))
        expect(Buffer.concat(copies).equals(expected)).toBe(true)
        expect(sizes.slice(0, -1).every((size) => size >= blockBytesMin)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  it('pass a large part through without a copy', async () => {
    const large = Buffer.alloc(5 * mebibyte)
    const blocks = blocksOf(
      (async function* () {
        yield large
      })(),
    )
    expect((await blocks.next()).value).toBe(large)
  })
})

describe('the body of a request', () => {
  it('is made anew for each try, in pieces that let the socket drain', async () => {
    const parts = [Buffer.alloc(mebibyte, 'a'), Buffer.alloc(300_000, 'b')]
    const body = bodyOf(parts)
    if (Buffer.isBuffer(body)) throw new Error('a stream was expected')
    for (let attempt = 0; attempt < 2; attempt++) {
      const pieces: Buffer[] = []
      for await (const piece of body()) pieces.push(piece as Buffer)
      expect(Math.max(...pieces.map(({ byteLength }) => byteLength))).toBe(256 * 1024)
      expect(Buffer.concat(pieces).equals(Buffer.concat(parts))).toBe(true)
    }
    expect((await buffer(body() as NodeJS.ReadableStream)).byteLength).toBe(lengthOf(parts))
  })
})
