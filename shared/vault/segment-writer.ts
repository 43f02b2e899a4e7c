import {
  type Birth,
  type EncodedFrame,
  encodeFrame,
  type FrameEncoding,
  type FramePlace,
  frameHeaderBytesOf,
} from '../format/frame.ts'
import type { FrameCipher } from '../format/frame-cipher.ts'
import { type SliceKey, segmentName } from '../format/names.ts'
import { releaseMemory } from '../format/release-memory.ts'
import { encodeSegmentTrailer, segmentTrailerBytes } from '../format/segment.ts'
import type { SegmentRange } from '../format/segment-ranges.ts'
import { createShardBuilder, type Run } from '../format/shard-builder.ts'
import { compress, compressedBytesMax } from '../format/zstd.ts'
import type { CallOptions, ObjectCreator } from '../ports/blob-store.ts'
import { createSegment } from './create-segment.ts'
import { giveBackMemory, takeMemory } from './kept-memory.ts'

/** Makes frames, packs them into segments of one attempt and uploads these, a few at a time. */
export interface SegmentWriter {
  /** The segments closed so far. */
  readonly ranges: readonly SegmentRange[]
  /** Length of the segments closed so far. */
  readonly segmentBytes: number
  /** Takes runs with the plain bytes of their frame, which are free again when this resolves, or zero runs with none. Waits while all memory
   * for segments is being uploaded.
   * @returns where the frame lies; null where there is none */
  append(runs: readonly Run[], plain: Uint8Array): Promise<FramePlace | null>
  /** Closes the last segment and waits for all uploads. */
  finish(): Promise<void>
  /** Waits for uploads in flight, whatever becomes of them: before an error is passed on. */
  settle(): Promise<void>
}

/** How large segments get, and how many are uploaded at a time. */
export interface SegmentWriterLimits {
  /** Frames of a segment; a larger frame makes a larger segment. */
  readonly segmentBytes: number
  /** Held in memory: those that are uploaded, and the one that fills. */
  readonly segmentsAtOnceMax: number
  readonly compression: FrameEncoding['compression']
  readonly options: CallOptions
}

/** Zero runs also fill a segment's directory; this bounds it. Those behind or without a frame stay with the segment they follow, so that
 * none is without frames but that of a slice without data; a plan names no more ranges than this for a slice. */
const directoryRunsMax = 65_536

/** Length of a stored frame as far as it is known before its bytes are compressed. Memory for a segment needs so much for each frame. */
export const storedBytesMax = (birth: Pick<Birth, 'recoveryPointId' | 'disk'>, plainBytes: number): number =>
  frameHeaderBytesOf(birth) + compressedBytesMax(plainBytes)

/** Nothing is written before the first frame is appended. Key: the attempt, which belongs to one run: names of segments follow from it.
 * @param attempt without a cipher frames are not encrypted */
export const createSegmentWriter = (
  deps: { readonly vault: ObjectCreator },
  attempt: { readonly key: SliceKey; readonly attempt: number; readonly cipher: FrameCipher | null },
  limits: SegmentWriterLimits,
): SegmentWriter => {
  const directory = createShardBuilder()
  const uploads = new Set<Promise<void>>()
  const pool: Buffer[] = []
  let buffer: Buffer | null = null
  let filledBytes = 0
  let ordinal = 0
  let n = 0
  let segmentBytes = 0

  const upload = (isLast: boolean): void => {
    const frames = directory.frames
    const shard = directory.finish()
    if (shard === null) return
    const trailer = encodeSegmentTrailer(shard.bytes, { isLast, frames, framesBytes: filledBytes, n })
    const memory = buffer
    const parts = [...(memory === null ? [] : [memory.subarray(0, filledBytes)]), shard.bytes, trailer]
    const name = segmentName(attempt.key, attempt.attempt, n)
    const done = createSegment(deps.vault, name, parts, limits.options).then(() => {
      if (memory !== null) pool.push(memory)
      uploads.delete(done)
    })
    done.catch(() => undefined)
    uploads.add(done)
    segmentBytes += filledBytes + shard.bytes.length + segmentTrailerBytes
    n += 1
    buffer = null
    filledBytes = 0
  }
  /** Memory behind what is filled, with room for the frame. */
  const room = async (neededBytes: number): Promise<Buffer> => {
    if (buffer === null) {
      while (uploads.size >= limits.segmentsAtOnceMax) await Promise.race(uploads)
      const pooled = pool.pop()
      const isEnough = pooled !== undefined && pooled.length >= neededBytes
      buffer = isEnough ? pooled : takeMemory(Math.max(limits.segmentBytes, neededBytes))
    }
    return buffer.subarray(filledBytes)
  }
  const append = async (runs: readonly Run[], plain: Uint8Array): Promise<FramePlace> => {
    const birth: Birth = { ...attempt.key, attempt: attempt.attempt, ordinal }
    const neededBytes = storedBytesMax(birth, plain.length)
    const isFull = filledBytes + neededBytes > limits.segmentBytes || directory.runs >= directoryRunsMax
    if (filledBytes > 0 && isFull) upload(false)
    const memory = await room(neededBytes)
    const { digest, storedBytes } = storeFrame(memory, birth, plain, limits.compression, attempt.cipher)
    const segment = segmentName(attempt.key, attempt.attempt, n)
    const place = { segment, placeBytes: filledBytes, storedBytes, plainBytes: plain.length, digest, birth }
    filledBytes += storedBytes
    directory.add(runs, place)
    ordinal += 1
    return place
  }
  return {
    get ranges() {
      return n === 0 ? [] : [{ ...attempt.key, attempt: attempt.attempt, firstN: 0, lastN: n - 1 }]
    },
    get segmentBytes() {
      return segmentBytes
    },
    append: async (runs, plain) => {
      if (plain.length > 0) return append(runs, plain)
      directory.add(runs, null)
      return null
    },
    finish: async () => {
      upload(true)
      await Promise.all(uploads)
      // Only here: an upload that failed may still hold its memory.
      for (const memory of pool.splice(0)) giveBackMemory(memory)
    },
    settle: async () => {
      await Promise.allSettled(uploads)
    },
  }
}

/** Writes one frame to the beginning of `memory`: zstd's output goes right to where it is uploaded from. */
const storeFrame = (
  memory: Buffer,
  birth: Birth,
  plain: Uint8Array,
  compression: FrameEncoding['compression'],
  cipher: FrameCipher | null,
): { readonly digest: EncodedFrame['digest']; readonly storedBytes: number } => {
  const place = memory.subarray(frameHeaderBytesOf(birth))
  const compressed = compression === 'none' ? { compression: 'raw' as const, payload: plain } : compress(plain, place)
  const { header, payload, digest } = encodeFrame({ birth, ...compressed, plainBytes: plain.length }, cipher)
  const storedBytes = header.length + payload.length
  memory.set(header)
  if (payload.buffer !== memory.buffer) place.set(payload)
  if (payload !== compressed.payload) releaseMemory(payload)
  return { digest, storedBytes }
}
