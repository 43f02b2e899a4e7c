import { createHash } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { compress, compressedBytesMax, decompress } from '../../shared/format/zstd.ts'
import { publicZstdContext, worksAsExpected, type ZstdContext, zstdContext } from '../../shared/format/zstd-context.ts'
import { isWholeZstdFrame } from '../../shared/format/zstd-frame.ts'
import { fc } from '../support/fast-check.ts'
import { seededRandom } from '../support/seeded-random.ts'

const origin = { name: 'segment', place: 7 }
const packed = (plain: Uint8Array) => compress(plain, Buffer.alloc(compressedBytesMax(plain.length)))

/** As the format wants frames. */
const withChecksum = (plain: Uint8Array): Buffer =>
  zstdCompressSync(plain, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })

/** Bytes that compress to different degrees, up to a frame. */
const plains = fc
  .record({ seed: fc.nat(), length: fc.integer({ min: 1, max: 400_000 }), repeat: fc.integer({ min: 1, max: 5000 }) })
  .map(({ seed, length, repeat }) => {
    const unit = createHash('shake256', { outputLength: repeat }).update(String(seed)).digest()
    return Buffer.alloc(length, unit)
  })

describe('a reused zstd context', () => {
  it('is what this version of Node has', () => {
    expect(zstdContext()).not.toBe(publicZstdContext)
  })

  it('writes frames that zstd reads, and reads those that zstd writes, one after another', () => {
    fc.assert(
      fc.property(plains, (plain) => {
        const { compression, payload } = packed(plain)
        const expanded = compression === 'raw' ? payload : zstdDecompressSync(payload)
        expect(Buffer.compare(expanded, plain)).toBe(0)
        expect(Buffer.compare(decompress(withChecksum(plain), 'zstd', plain.length, origin), plain)).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  it('is unharmed by frames that are cut, flipped, or of another length than is said', () => {
    const plain = Buffer.concat([Buffer.alloc(200_000, 'text of a disk '), seededRandom(1).bytes(3000)])
    const { payload } = packed(plain)
    const whole = Buffer.from(payload)
    const flipped = (at: number) => Buffer.from(whole).fill((whole[at] ?? 0) ^ 4, at, at + 1)
    const harmed = [
      ...[0, 5, 9, 700, whole.length - 1].map((at) => [flipped(at), plain.length] as const),
      ...[0, 1, 8, 1000, whole.length - 4, whole.length - 1].map(
        (end) => [whole.subarray(0, end), plain.length] as const,
      ),
      [Buffer.concat([whole, whole]), plain.length],
      [Buffer.concat([whole, Buffer.from('x')]), plain.length],
      [whole, plain.length - 1],
      [whole, plain.length + 1],
      [whole, 1],
    ] as const
    for (const [bytes, plainBytes] of harmed) {
      expect(() => decompress(bytes, 'zstd', plainBytes, origin)).toThrow(/malformed at byte 7/)
      expect(Buffer.compare(decompress(whole, 'zstd', plain.length, origin), plain)).toBe(0)
    }
  })

  it('is not taken where it does not do what is expected', () => {
    const real = zstdContext()
    const late: ZstdContext = { ...real, compressInto: (plain, target) => (real.compressInto(plain, target) ?? 0) - 1 }
    const deaf: ZstdContext = { ...real, expandInto: () => 0 }
    const gone: ZstdContext = {
      ...real,
      compressInto: () => {
        throw new TypeError('writeSync is not a function')
      },
    }
    expect([late, deaf, gone, publicZstdContext, real].map(worksAsExpected)).toEqual([false, false, false, true, true])
  })
})

describe('the end of a zstd frame', () => {
  it('is found by structure alone, for all kinds of blocks', () => {
    for (const plain of [
      Buffer.alloc(0),
      Buffer.alloc(500_000),
      seededRandom(1).bytes(300_000),
      Buffer.alloc(300_000, 'abc d'),
    ]) {
      const frame = withChecksum(plain)
      expect(isWholeZstdFrame(frame)).toBe(true)
      for (const end of [0, 3, 6, frame.length >> 1, frame.length - 1])
        expect(isWholeZstdFrame(frame.subarray(0, Math.min(end, frame.length - 1)))).toBe(false)
      expect(isWholeZstdFrame(Buffer.concat([frame, Buffer.of(0)]))).toBe(false)
    }
  })

  it('is that of a frame with a checksum of its content and without a dictionary, or of none', () => {
    const plain = Buffer.alloc(5000, 'abc d')
    expect(isWholeZstdFrame(zstdCompressSync(plain))).toBe(false)
    const named = withChecksum(plain)
    named.writeUInt8(named.readUInt8(4) | 1, 4)
    const withId = Buffer.concat([named.subarray(0, 5), Buffer.of(7), named.subarray(5)])
    expect(isWholeZstdFrame(withId)).toBe(false)
  })
})
