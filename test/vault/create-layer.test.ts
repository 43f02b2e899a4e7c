import { describe, expect, it } from 'vitest'
import { createLayer } from '../../shared/vault/create-layer.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'

const partBytes = 1024 * 1024
const name = 'layers/r1/os'

/** Pieces in one memory, which each of them takes from the one before. */
async function* pieces(lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(Math.max(...lengths))
  for (const [index, length] of lengths.entries()) {
    memory.fill(index + 1)
    yield memory.subarray(0, length)
  }
}

const expected = (lengths: readonly number[]): Buffer =>
  Buffer.concat(lengths.map((length, index) => Buffer.alloc(length, index + 1)))

describe('the object of a layer', () => {
  const layers = {
    'in one call': [10, 1000, 7],
    'as large as a part': [partBytes - 7, 7],
    'of several parts': [400_000, 400_000, 400_000, 300_000, 2 * partBytes, 400_000, 9],
  }
  it.each(Object.entries(layers))('holds all pieces, whose memory is used again: %s', async (_, lengths) => {
    const vault = createMemoryBlobStore()
    expect(await createLayer(vault, name, pieces(lengths), {}, partBytes)).toBe('created')
    const stored = await vault.read(name)
    expect(expected(lengths).equals(stored?.bytes ?? Buffer.alloc(0))).toBe(true)
  })

  it('gives back the memory of each part that was taken', async () => {
    const parts: Uint8Array[] = []
    const vault = createMemoryBlobStore()
    const watching = {
      ...vault,
      createFromStream: async (_name: string, given: AsyncIterable<Uint8Array>) => {
        for await (const part of given) {
          expect(parts.filter((before) => before.length > 0).length).toBe(0)
          parts.push(part)
        }
        return 'created' as const
      },
    }
    await createLayer(watching, name, pieces(Array.from({ length: 12 }, () => 400_000)), {}, partBytes)
    expect(parts.length).toBeGreaterThan(3)
  })
})
