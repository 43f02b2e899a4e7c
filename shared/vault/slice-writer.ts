import { setImmediate } from 'node:timers/promises'
import type { GatheredFrame } from './frame-gatherer.ts'
import type { BuiltIndex, IndexBuilder } from './index-builder.ts'
import type { PageHashes } from './page-hashes.ts'
import type { SegmentWriter } from './segment-writer.ts'

/** Puts the frames of one slice, in order, into segments and the index. */
export interface SliceWriter {
  /** Waits while all memory for segments is being uploaded. */
  add(frame: GatheredFrame): Promise<void>
  /** Everything is stored when this resolves; the index is still to be written. */
  finish(): Promise<BuiltIndex>
  /** Waits for what is in flight, whatever becomes of it. */
  settle(): Promise<void>
}

/** @param hashes told of what is stored; null where nobody wants them */
export const createSliceWriter = (
  segments: SegmentWriter,
  index: IndexBuilder,
  hashes: PageHashes | null = null,
): SliceWriter => ({
  add: async ({ runs, plain, free }) => {
    try {
      hashes?.add(runs, plain)
      index.add(runs, await segments.append(runs, plain))
    } finally {
      free()
    }
    // Compressing a frame takes milliseconds, in which no socket is served; sockets come first, then the next frame.
    await setImmediate()
  },
  finish: async () => {
    await segments.finish()
    return index.finish()
  },
  settle: () => segments.settle(),
})
