import { describe, expect, it } from 'vitest'
import { noKeys } from '../../shared/format/data-key.ts'
import { encodeFrame, type FramePlace } from '../../shared/format/frame.ts'
import { compress, compressedBytesMax } from '../../shared/format/zstd.ts'
import { createFrameLoader } from '../../shared/vault/frame-loader.ts'
import { createOpenFrames } from '../../shared/vault/open-frames.ts'
import { seededRandom } from '../support/seeded-random.ts'

interface Sample {
  readonly place: FramePlace
  readonly stored: Buffer
  readonly plain: Buffer
}

const sample = (transfer: number, ordinal: number, plain: Buffer): Sample => {
  const birth = { recoveryPointId: `r${transfer}`, disk: 'os', slice: ordinal, attempt: 1, ordinal }
  const packed = compress(plain, Buffer.alloc(compressedBytesMax(plain.length)))
  const { header, payload, digest } = encodeFrame({ birth, ...packed, plainBytes: plain.length }, null)
  const stored = Buffer.concat([header, payload])
  const rest = { placeBytes: 0, storedBytes: stored.length, plainBytes: plain.length, digest }
  return { place: { segment: `s${transfer}`, birth, ...rest }, stored, plain }
}
const random = seededRandom(1)
const text = (fill: string, length = 200_704): Buffer => Buffer.alloc(length, `${fill} on a disk `)

describe('open frames', () => {
  it('have their bytes until the next one of their transfer is opened, in the same memory', () => {
    const frames = createOpenFrames(noKeys)
    const [first, second, other] = [sample(0, 0, text('a')), sample(0, 1, text('b')), sample(1, 0, text('c'))]
    const opened = frames.open(first.place, first.stored)
    expect(Buffer.compare(opened, first.plain)).toBe(0)
    frames.open(other.place, other.stored)
    expect(frames.find(first.place)).toBe(opened)
    const next = frames.open(second.place, second.stored)
    expect(next.buffer).toBe(opened.buffer)
    expect(frames.find(first.place)).toBeNull()
    expect(Buffer.compare(frames.find(other.place) ?? Buffer.alloc(0), other.plain)).toBe(0)
  })

  it('are bounded in number: the one that was opened first gives way', () => {
    const frames = createOpenFrames(noKeys)
    const samples = Array.from({ length: 40 }, (_, transfer) => sample(transfer, 0, text(`${transfer}`, 4096)))
    for (const { place, stored } of samples) frames.open(place, stored)
    const left = samples.filter(({ place }) => frames.find(place) !== null)
    expect(left).toEqual(samples.slice(-32))
    for (const { place, plain } of left) expect(Buffer.compare(frames.find(place) ?? Buffer.alloc(0), plain)).toBe(0)
  })

  it('stand alone: bytes stored as they are do not keep what was read with them', () => {
    const frames = createOpenFrames(noKeys)
    const noise = sample(0, 0, random.bytes(8192))
    const { stored } = noise
    const opened = frames.open(noise.place, stored)
    expect(opened.buffer).not.toBe(stored.buffer)
    stored.fill(0)
    expect(Buffer.compare(opened, noise.plain)).toBe(0)
  })

  it('lie where they are wanted, and are open until they are dropped', () => {
    const frames = createOpenFrames(noKeys)
    for (const plain of [text('packed'), random.bytes(8192)]) {
      const { place, stored } = sample(0, 0, plain)
      const target = Buffer.alloc(plain.length + 1)
      const opened = frames.open(place, stored, target)
      expect([opened.buffer, opened.byteOffset]).toEqual([target.buffer, target.byteOffset])
      expect(Buffer.compare(frames.find(place) ?? Buffer.alloc(0), plain)).toBe(0)
      frames.drop(place)
      expect(frames.find(place)).toBeNull()
    }
  })

  it('of any size are opened', () => {
    const frames = createOpenFrames(noKeys)
    const large = sample(0, 1, text('large', 3 * 1024 * 1024))
    frames.open(sample(0, 0, text('small', 512)).place, sample(0, 0, text('small', 512)).stored)
    expect(Buffer.compare(frames.open(large.place, large.stored), large.plain)).toBe(0)
  })
})

describe('stored frames that are read together', () => {
  it('give their memory back when the last of them is done, and not before', async () => {
    const [first, second] = [sample(0, 0, random.bytes(300_000)), sample(0, 1, random.bytes(300_000))]
    const segment = Buffer.alloc(first.stored.length + second.stored.length)
    segment.set(first.stored)
    segment.set(second.stored, first.stored.length)
    const read: Buffer[] = []
    const load = createFrameLoader(
      {
        read: async () => null,
        readRange: async (_name, offsetBytes, lengthBytes) => {
          const bytes = Buffer.alloc(lengthBytes)
          segment.copy(bytes, 0, offsetBytes, offsetBytes + lengthBytes)
          read.push(bytes)
          return bytes
        },
      },
      {},
    )
    const places = [first.place, { ...second.place, placeBytes: first.stored.length }]
    const loaded = await Promise.all([...load(places).values()])
    expect(read).toHaveLength(1)
    expect(loaded.map(({ bytes }) => Buffer.from(bytes))).toEqual([first.stored, second.stored])
    loaded[0]?.done()
    expect(read[0]?.length).toBe(segment.length)
    loaded[1]?.done()
    expect(read[0]?.length).toBe(0)
  })
})
