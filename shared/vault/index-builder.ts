import { digestBytes } from '../format/digest.ts'
import type { FramePlace } from '../format/frame.ts'
import type { FenceKey } from '../format/index-footer.ts'
import { createShardBuilder, type Run } from '../format/shard-builder.ts'

/** The shards of one slice's index and what they sum up to. */
export interface BuiltIndex {
  readonly shards: readonly Uint8Array[]
  readonly fences: readonly FenceKey[]
  readonly dataBytes: number
  readonly zeroBytes: number
  readonly frames: number
  readonly runs: number
}

/** Takes the runs of one slice and makes its index, but for the footer. */
export interface IndexBuilder {
  /** In order of offset; see ShardBuilder. */
  add(runs: readonly Run[], frame: FramePlace | null): void
  finish(): BuiltIndex
}

/** Cuts the index into shards, always between two frames. */
export const createIndexBuilder = (limits: {
  readonly shardFramesMax: number
  readonly shardRunsMax: number
}): IndexBuilder => {
  const builder = createShardBuilder()
  const shards: Uint8Array[] = []
  const fences: FenceKey[] = []
  const totals = { dataBytes: 0, zeroBytes: 0, frames: 0, runs: 0 }
  let placeBytes = 0
  const close = (): void => {
    const shard = builder.finish()
    if (shard === null) return
    const { bytes, firstBytes, endBytes, frames, runs } = shard
    totals.frames += frames
    totals.runs += runs
    shards.push(bytes)
    fences.push({ firstBytes, endBytes, placeBytes, lengthBytes: bytes.length, frames, digest: digestBytes(bytes) })
    placeBytes += bytes.length
  }
  return {
    add: (runs, frame) => {
      builder.add(runs, frame)
      for (const run of runs) totals[run.isZero ? 'zeroBytes' : 'dataBytes'] += run.lengthBytes
      if (builder.frames >= limits.shardFramesMax || builder.runs >= limits.shardRunsMax) close()
    },
    finish: () => {
      close()
      return { shards, fences, ...totals }
    },
  }
}
