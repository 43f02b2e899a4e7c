import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createByteReader } from '../../shared/format/byte-reader.ts'
import { createByteWriter } from '../../shared/format/byte-writer.ts'
import { noKeys } from '../../shared/format/data-key.ts'
import { digestBytes, digestHex } from '../../shared/format/digest.ts'
import { type Birth, decodeFrameHeader, encodeFrame, type FramePlace, openFrame } from '../../shared/format/frame.ts'
import { encodeIndexFooter, type FenceKey, type IndexHead, openIndexFooter } from '../../shared/format/index-footer.ts'
import { decodeSealedJson, encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { decodeSegmentTrailer, encodeSegmentTrailer } from '../../shared/format/segment.ts'
import { joinSegmentRanges } from '../../shared/format/segment-ranges.ts'
import { openShard } from '../../shared/format/shard.ts'
import { createShardBuilder } from '../../shared/format/shard-builder.ts'
import { createSlicePlanEncoder, decodeSlicePlan } from '../../shared/format/slice-plan-codec.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { compress, compressedBytesMax } from '../../shared/format/zstd.ts'
import { changedRanges, framedRuns, offsets, segmentRanges } from '../support/arbitraries.ts'
import { fc } from '../support/fast-check.ts'

const origin = { name: 'object', place: 0 }
const sectors = (max: number) => fc.integer({ min: 0, max }).map((count) => count * 512)

/** Whatever is done to the bytes, the decoder ends in a VaultError: it never loops, crashes or answers. */
const expectFaults = (bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown, isProven: boolean): void => {
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
    for (const damaged of [flipped, bytes.subarray(0, at)]) {
      try {
        decode(damaged)
        if (isProven) throw new Error(`byte ${at} of ${bytes.length} is not covered`)
      } catch (error) {
        if (!(error instanceof VaultError)) throw error
      }
    }
  }
}

describe('numbers', () => {
  it('come back as they were written, up to 2^53 - 1', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (numbers) => {
        const writer = createByteWriter(1)
        for (const number of numbers) {
          writer.varint(number)
          writer.u64(number)
        }
        const reader = createByteReader(writer.finish(), origin)
        for (const number of numbers) {
          expect(reader.varint()).toBe(number)
          expect(reader.u64()).toBe(number)
        }
        expect(reader.remaining).toBe(0)
      }),
    )
  })

  it.each([
    ['cut', [0x80]],
    ['of nine bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
    ['over 2^53', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ])('are refused as a varint %s', (_, bytes) => {
    expect(() => createByteReader(Uint8Array.from(bytes), origin).varint()).toThrow(VaultError)
  })
})

const birth: Birth = { recoveryPointId: 'r1', disk: 'lun-0', slice: 3, attempt: 2, ordinal: 5 }
const packed = (plain: Uint8Array) => compress(plain, Buffer.alloc(compressedBytesMax(plain.length)))
const storedFrame = async (plain: Buffer): Promise<{ stored: Buffer; place: FramePlace }> => {
  const { compression, payload } = packed(plain)
  const { header, digest } = encodeFrame({ birth, compression, payload, plainBytes: plain.length }, null)
  const stored = Buffer.concat([header, payload])
  const place = { segment: 's', placeBytes: 0, storedBytes: stored.length, plainBytes: plain.length, digest, birth }
  return { stored, place }
}

describe('a frame', () => {
  it('gives back the plain bytes', async () => {
    const plains = fc.uint8Array({ minLength: 1, maxLength: 64 }).map((seed) => Buffer.alloc(2048, seed))
    await fc.assert(
      fc.asyncProperty(plains, async (plain) => {
        const { stored, place } = await storedFrame(plain)
        expect(Buffer.from(openFrame(stored, place, noKeys)).equals(plain)).toBe(true)
        expect(decodeFrameHeader(stored, origin)).toMatchObject({ birth, plainBytes: 2048 })
      }),
    )
  })

  it('is stored raw where zstd does not make it smaller', async () => {
    const noise = Buffer.from(Array.from({ length: 512 }, (_, index) => (index * index * 31 + index * 7) % 251))
    expect(packed(noise.subarray(0, 256)).payload.length).toBeLessThanOrEqual(256)
    const { compression, payload } = packed(digestBytes(noise))
    expect(compression).toBe('raw')
    expect(payload.length).toBe(32)
  })

  it('faults for any flipped bit and any cut', async () => {
    for (const plain of [Buffer.alloc(4096, 'text '), digestBytes(Buffer.from('x'))]) {
      const { stored, place } = await storedFrame(
        Buffer.concat([plain, Buffer.alloc(512 - (plain.length % 512 || 512))]),
      )
      expectFaults(stored, (bytes) => openFrame(bytes, place, noKeys), true)
    }
  })

  it('is not taken for another one', async () => {
    const { stored, place } = await storedFrame(Buffer.alloc(512, 'a'))
    for (const other of [{ slice: 4 }, { attempt: 1 }, { ordinal: 6 }, { disk: 'os' }, { recoveryPointId: 'r2' }])
      expect(() => openFrame(stored, { ...place, birth: { ...birth, ...other } }, noKeys)).toThrow(/belongs/)
  })
})

describe('a format version', () => {
  it.each([0, 2, 255])('%i is refused by its number, in a frame as in everything else', async (version) => {
    expect(() => createByteReader(Uint8Array.of(version), origin).version()).toThrow(
      expect.objectContaining({ fault: { code: 'unsupported-version', name: 'object', version } }),
    )
    const { stored, place } = await storedFrame(Buffer.alloc(512, 'a'))
    stored[8] = version
    expect(() => openFrame(stored, place, noKeys)).toThrow(
      expect.objectContaining({ fault: { code: 'unsupported-version', name: 's', version } }),
    )
  })
})

describe('a shard', () => {
  it('gives back runs and the places of their bytes', () => {
    fc.assert(
      fc.property(framedRuns(), (batches) => {
        const builder = createShardBuilder()
        for (const { runs, frame } of batches) builder.add(runs, frame)
        const shard = builder.finish()
        if (shard === null) {
          expect(batches).toHaveLength(0)
          return
        }
        const placed = [...openShard(shard.bytes, origin).placedRuns()]
        const expected = batches.flatMap(({ runs, frame }) => {
          let position = 0
          return runs.map(({ offsetBytes, lengthBytes, isZero }) => {
            const framePosition = isZero ? 0 : position
            position += isZero ? 0 : lengthBytes
            return { offsetBytes, lengthBytes, frame: isZero ? null : frame, framePosition }
          })
        })
        expect(placed).toEqual(expected)
        expect(shard).toMatchObject({ firstBytes: expected[0]?.offsetBytes, runs: expected.length })
      }),
    )
  })

  it('faults, or is only read as another shard, for any damage: the fence key’s digest is what proves it', () => {
    const [batches] = fc.sample(framedRuns(3), { seed: 5, numRuns: 1 })
    const builder = createShardBuilder()
    for (const { runs, frame } of batches ?? []) builder.add(runs, frame)
    const bytes = builder.finish()?.bytes ?? Buffer.alloc(0)
    expect(bytes.length).toBeGreaterThan(100)
    expectFaults(bytes, (damaged) => [...openShard(damaged, origin).placedRuns()], false)
  })
})

const head = fc
  .record({
    kind: fc.constantFrom('slice' as const, 'layer' as const),
    recoveryPointId: fc.constant('r1'),
    disk: fc.constantFrom('os', 'lun-63'),
    slice: fc.nat(),
    attempt: fc.nat(),
    frameCapacityBytes: fc.constant(1024 * 1024),
    diskBytes: fc.constant(64 * 1024 ** 4),
    segmentRanges: segmentRanges().map(joinSegmentRanges),
    changedBytes: fc.maxSafeNat(),
    readBytes: fc.maxSafeNat(),
    joinedBytes: fc.maxSafeNat(),
    readCalls: fc.maxSafeNat(),
    dataBytes: fc.maxSafeNat(),
    zeroBytes: fc.maxSafeNat(),
    segmentBytes: fc.maxSafeNat(),
    milliseconds: fc.maxSafeNat(),
    frames: fc.constant(0),
    runs: fc.maxSafeNat(),
  })
  .map((sample) => ({
    ...sample,
    attempt: sample.kind === 'layer' ? 0 : sample.attempt,
  })) satisfies fc.Arbitrary<IndexHead>

const fences = fc.array(fc.tuple(sectors(1000), sectors(1000), fc.integer({ min: 1, max: 9999 }))).map((entries) => {
  let end = 0
  let placeBytes = 0
  return entries.map(([gap, length, lengthBytes]): FenceKey => {
    const firstBytes = end + gap
    end = firstBytes + length + 512
    const digest = digestBytes(Buffer.from(String(end)))
    const fence = { firstBytes, endBytes: end, placeBytes, lengthBytes, frames: 1, digest }
    placeBytes += lengthBytes
    return fence
  })
})

describe('an index footer', () => {
  it('gives back its head and its fence keys', () => {
    fc.assert(
      fc.property(head, fences, (sample, keys) => {
        const written = { ...sample, frames: keys.length }
        const bytes = encodeIndexFooter(written, keys)
        const shardBytes = keys.reduce((sum, key) => sum + key.lengthBytes, 0)
        const footer = openIndexFooter(bytes, origin, shardBytes + bytes.length)
        expect(footer).toMatchObject({ ...written, shards: keys.length, footerBytes: bytes.length })
        expect(keys.map((_, index) => footer.fence(index))).toEqual(keys)
      }),
    )
  })

  it('faults for any flipped bit and any cut', () => {
    const [sample] = fc.sample(fc.tuple(head, fences), { seed: 3, numRuns: 1 })
    const [sampled, keys] = sample ?? expect.unreachable()
    const written = { ...sampled, frames: keys.length }
    const bytes = encodeIndexFooter(written, keys)
    const shardBytes = keys.reduce((sum, key) => sum + key.lengthBytes, 0)
    expectFaults(bytes, (damaged) => openIndexFooter(damaged, origin, shardBytes + bytes.length), true)
  })
})

describe('a segment trailer', () => {
  const directory = Buffer.from('the directory')
  it('gives back what it was made of, and faults for any damage', () => {
    const bytes = encodeSegmentTrailer(directory, { isLast: true, frames: 3, framesBytes: 77, n: 4 })
    const written = { isLast: true, frames: 3, directoryPlaceBytes: 77, directoryBytes: 13, n: 4 }
    expect(decodeSegmentTrailer(bytes, origin)).toEqual({ ...written, directoryDigest: digestBytes(directory) })
    expectFaults(bytes, (damaged) => decodeSegmentTrailer(damaged, origin), true)
  })

  it('is refused where its mark of the last segment is neither 0 nor 1, though its CRC is right', () => {
    const bytes = encodeSegmentTrailer(directory, { isLast: true, frames: 3, framesBytes: 77, n: 4 })
    bytes.writeUInt8(2, 9)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 64)), 64)
    expect(() => decodeSegmentTrailer(bytes, origin)).toThrow(/mark of the last segment/)
  })
})

describe('a slice plan', () => {
  it('gives back its ranges, and faults for any damage', () => {
    fc.assert(
      fc.property(changedRanges(), offsets(), (ranges, dataBytes) => {
        const key = { recoveryPointId: 'r1', disk: 'os', slice: 2, run: 7, transfer: 'incremental' as const }
        const head = { ...key, diskBytes: 1024 ** 5, rangeCount: ranges.length, dataBytes, clearBytes: 512 }
        const encoder = createSlicePlanEncoder()
        encoder.add({ offsetBytes: 512, lengthBytes: 512, kind: 'data' })
        encoder.finish({ ...head, rangeCount: 1 })
        for (const range of ranges) encoder.add(range)
        const bytes = Buffer.concat(encoder.finish(head))
        const plan = decodeSlicePlan(bytes, 'object')
        const last = ranges.at(-1)
        const spanBytes = last === undefined ? 0 : last.offsetBytes + last.lengthBytes - (ranges[0]?.offsetBytes ?? 0)
        expect({ ...plan, ranges: [...plan.ranges] }).toEqual({ ...head, spanBytes, ranges })
        expect([...plan.ranges]).toEqual(ranges)
        if (ranges.length < 4) expectFaults(bytes, (damaged) => decodeSlicePlan(damaged, 'object'), true)
      }),
    )
  })
})

describe('a slice plan of an unknown kind of transfer', () => {
  it('is refused, though its digest is right', () => {
    const key = { recoveryPointId: 'r1', disk: 'os', slice: 2, run: 7, transfer: 'incremental' as const }
    const head = { ...key, diskBytes: 4096, rangeCount: 0, dataBytes: 0, clearBytes: 0 }
    const bytes = Buffer.concat(createSlicePlanEncoder().finish(head))
    bytes.writeUInt8(2, 9)
    digestBytes(bytes.subarray(0, -32)).copy(bytes, bytes.length - 32)
    expect(() => decodeSlicePlan(bytes, 'object')).toThrow(/transfer of kind 2/)
  })
})

describe('a sealed record', () => {
  it('gives back what it was made of, and faults for any damage', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())), (record) => {
        const bytes = encodeSealedJson(record)
        expect(decodeSealedJson(bytes, 'object')).toEqual(JSON.parse(JSON.stringify(record)))
        expect(JSON.parse(bytes.toString())).toHaveProperty('record')
      }),
      { numRuns: 30 },
    )
    const notUtf8 = Buffer.from('7b2261223a22ff227d', 'hex')
    const shell = [`{"sha256":"${digestHex(notUtf8)}","record":`, '}\n'].map((part) => Buffer.from(part))
    expect(() => decodeSealedJson(Buffer.concat([shell[0] as Buffer, notUtf8, shell[1] as Buffer]), 'object')).toThrow(
      /not JSON/,
    )
    expectFaults(encodeSealedJson({ a: 'ä', b: [1, 2] }), (damaged) => decodeSealedJson(damaged, 'object'), true)
  })
})
