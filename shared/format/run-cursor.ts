import type { Extent } from '../domain/extent.ts'
import type { FramePlace } from './frame.ts'
import { sectorBytes } from './sectors.ts'
import { type PlacedRun, runEntryBytes } from './shard-builder.ts'

/** What a shard says of itself: counts, and the bytes of the disk between its first run and the end of its last. */
export interface ShardHeader {
  readonly runs: number
  readonly frames: number
  readonly firstBytes: number
  readonly endBytes: number
}

/** What a run cursor reads: a shard's tables, which were checked. */
export interface ShardTables extends ShardHeader {
  readonly runList: Buffer
  /** One object for a frame, however often it is asked for. */
  frameAt(frame: number): FramePlace
}

/** Walks over the runs of a shard. */
export interface RunCursor {
  /** The next runs, `max` at most; empty at the end. A frame is one object for all of its runs. */
  take(max: number): PlacedRun[]
}

/** The runs that touch the window, not clipped. The first one is found by halving; what does not touch it is not decoded. */
export const createRunCursor = (shard: ShardTables, window: Extent): RunCursor => {
  const windowEnd = window.offsetBytes + window.lengthBytes
  let index = firstRunBehind(shard, window.offsetBytes)
  return {
    take: (max) => {
      const runs: PlacedRun[] = []
      for (; runs.length < max && index < shard.runs; index += 1) {
        if (offsetOf(shard.runList, index) >= windowEnd) break
        runs.push(placeRun(shard, index))
      }
      return runs
    },
  }
}

const placeRun = ({ runList, frameAt }: ShardTables, index: number): PlacedRun => {
  const at = index * runEntryBytes
  const extent = { offsetBytes: offsetOf(runList, index), lengthBytes: lengthOf(runList, index) }
  if (runList.readUInt8(at + 7) > 127) return { ...extent, frame: null, framePosition: 0 }
  const frame = frameAt(runList.readUInt16LE(at + 8))
  return { ...extent, frame, framePosition: runList.readUInt16LE(at + 10) * sectorBytes }
}

const offsetOf = (runList: Buffer, index: number): number => {
  const at = index * runEntryBytes
  return (runList.readUInt32LE(at) + runList.readUInt8(at + 4) * 2 ** 32) * sectorBytes
}

const lengthOf = (runList: Buffer, index: number): number =>
  ((runList.readUInt32LE(index * runEntryBytes + 4) >>> 8) & 0x7fffff) * sectorBytes

/** The first run that ends behind the offset; the number of runs where none does. */
const firstRunBehind = ({ runList, runs }: ShardTables, offsetBytes: number): number => {
  let low = 0
  let high = runs
  while (low < high) {
    const middle = (low + high) >>> 1
    if (offsetOf(runList, middle) + lengthOf(runList, middle) > offsetBytes) high = middle
    else low = middle + 1
  }
  return low
}
