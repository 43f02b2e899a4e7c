import type { FrameEncoding } from '../format/frame.ts'
import { releaseMemory } from '../format/release-memory.ts'
import { compress } from '../format/zstd.ts'
import type { GatheredFrame } from './frame-gatherer.ts'
import type { BuiltIndex, IndexBuilder } from './index-builder.ts'
import type { CompressedFrame, SegmentWriter } from './segment-writer.ts'

/** Takes the frames of one slice in order, compresses several at once, and puts them into segments and the index in that order. */
export interface SliceWriter {
  /** Waits while too many frames are being compressed or uploaded. */
  add(frame: GatheredFrame): Promise<void>
  /** Everything is stored when this resolves; the index is still to be written. */
  finish(): Promise<BuiltIndex>
  /** Waits for what is in flight, whatever becomes of it. */
  settle(): Promise<void>
}

export const createSliceWriter = (
  segments: SegmentWriter,
  index: IndexBuilder,
  limits: { readonly framesInFlightMax: number; readonly compression: FrameEncoding['compression'] },
): SliceWriter => {
  const queue: { readonly frame: GatheredFrame; readonly compressed: Promise<CompressedFrame | null> }[] = []
  const writeNext = async (): Promise<void> => {
    const head = queue.shift()
    if (head === undefined) return
    try {
      const { runs } = head.frame
      const compressed = await head.compressed
      index.add(runs, await segments.append(runs, compressed))
      if (compressed?.compression === 'zstd') releaseMemory(compressed.payload)
    } finally {
      head.frame.free()
    }
  }
  return {
    add: async (frame) => {
      const compressed = compressFrame(frame.plain, limits.compression)
      compressed.catch(() => undefined)
      queue.push({ frame, compressed })
      if (queue.length > limits.framesInFlightMax) await writeNext()
    },
    finish: async () => {
      while (queue.length > 0) await writeNext()
      await segments.finish()
      return index.finish()
    },
    settle: async () => {
      await Promise.allSettled(queue.map((entry) => entry.compressed))
      await segments.settle()
    },
  }
}

const compressFrame = async (
  plain: Buffer,
  compression: FrameEncoding['compression'],
): Promise<CompressedFrame | null> => {
  if (plain.length === 0) return null
  const compressed = compression === 'none' ? { compression: 'raw' as const, payload: plain } : await compress(plain)
  return { ...compressed, plainBytes: plain.length }
}
