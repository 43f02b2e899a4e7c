import { type Birth, encodeFrame, type FramePlace, frameHeaderBytesOf } from '../format/frame.ts'
import type { FrameCipher } from '../format/frame-cipher.ts'
import { type SliceKey, segmentName } from '../format/names.ts'
import { encodeSegmentTrailer, segmentTrailerBytes } from '../format/segment.ts'
import type { SegmentRange } from '../format/segment-ranges.ts'
import { createShardBuilder, type Run } from '../format/shard-builder.ts'
import type { Compression } from '../format/zstd.ts'
import type { BlobCreator, CallOptions } from '../ports/blob-store.ts'

export interface CompressedFrame {
  readonly compression: Compression
  readonly payload: Uint8Array
  readonly plainBytes: number
}

/** Packs frames into segments of one attempt and uploads them, a few at a time. */
export interface SegmentWriter {
  /** The segments closed so far. */
  readonly ranges: readonly SegmentRange[]
  /** Length of the segments closed so far. */
  readonly segmentBytes: number
  /** Takes runs with their frame, or zero runs without one. Waits while too many uploads are in flight.
   * @returns where the frame lies */
  append(runs: readonly Run[], frame: CompressedFrame | null): Promise<FramePlace | null>
  /** Closes the last segment and waits for all uploads. */
  finish(): Promise<void>
  /** Waits for uploads in flight, whatever becomes of them: before an error is passed on. */
  settle(): Promise<void>
}

/** Zero runs also fill a segment's directory; this bounds it. Those behind or without a frame stay with the segment they follow, so that
 * none is without frames but that of a slice without data; a plan names no more ranges than this for a slice. */
const directoryRunsMax = 65_536

/** @param limits `segmentBytes`: frames of a segment; a larger frame makes a larger segment */
export const createSegmentWriter = (
  deps: { readonly vault: BlobCreator },
  attempt: { readonly key: SliceKey; readonly attempt: number; readonly cipher: FrameCipher | null },
  limits: { readonly segmentBytes: number; readonly uploadsInFlightMax: number; readonly options: CallOptions },
): SegmentWriter => {
  const directory = createShardBuilder()
  const uploads = new Set<Promise<void>>()
  const pool: Buffer[] = []
  let buffer: Buffer = Buffer.alloc(0)
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
    const parts = [memory.subarray(0, filledBytes), shard.bytes, trailer].filter((part) => part.length > 0)
    const done = deps.vault.create(segmentName(attempt.key, attempt.attempt, n), parts, limits.options).then(() => {
      pool.push(memory)
      uploads.delete(done)
    })
    done.catch(() => undefined)
    uploads.add(done)
    segmentBytes += filledBytes + shard.bytes.length + segmentTrailerBytes
    n += 1
    buffer = Buffer.alloc(0)
    filledBytes = 0
  }
  const close = async (isLast: boolean): Promise<void> => {
    while (uploads.size >= limits.uploadsInFlightMax) await Promise.race(uploads)
    upload(isLast)
  }
  const store = (header: Uint8Array, payload: Uint8Array): void => {
    const storedBytes = header.length + payload.length
    if (buffer.length < filledBytes + storedBytes) {
      const pooled = pool.pop()
      const isEnough = pooled !== undefined && pooled.length >= storedBytes
      buffer = isEnough ? pooled : Buffer.allocUnsafeSlow(Math.max(limits.segmentBytes, storedBytes))
    }
    buffer.set(header, filledBytes)
    buffer.set(payload, filledBytes + header.length)
    filledBytes += storedBytes
  }
  return {
    get ranges() {
      return n === 0 ? [] : [{ ...attempt.key, attempt: attempt.attempt, firstN: 0, lastN: n - 1 }]
    },
    get segmentBytes() {
      return segmentBytes
    },
    append: async (runs, frame) => {
      if (frame === null) {
        directory.add(runs, null)
        return null
      }
      const birth: Birth = { ...attempt.key, attempt: attempt.attempt, ordinal }
      const storedBytes = frameHeaderBytesOf(birth) + frame.payload.length
      const isFull = filledBytes + storedBytes > limits.segmentBytes || directory.runs >= directoryRunsMax
      if (filledBytes > 0 && isFull) await close(false)
      const { header, payload, digest } = encodeFrame({ ...frame, birth }, attempt.cipher)
      const segment = segmentName(attempt.key, attempt.attempt, n)
      const { plainBytes } = frame
      const place: FramePlace = { segment, placeBytes: filledBytes, storedBytes, plainBytes, digest, birth }
      store(header, payload)
      directory.add(runs, place)
      ordinal += 1
      return place
    },
    finish: async () => {
      await close(true)
      await Promise.all(uploads)
    },
    settle: async () => {
      await Promise.allSettled(uploads)
    },
  }
}
