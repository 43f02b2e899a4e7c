import type { Extent } from '../domain/extent.ts'
import type { FramePlace } from './frame.ts'
import { sectorBytes } from './sectors.ts'
import { type PlacedRun, runEntryBytes } from './shard-builder.ts'

export interface ShardHeader {
  readonly runs: number
  readonly frames: number
  readonly firstBytes: number
  readonly endBytes: number
}

/** What a run cursor reads: the shard's tables, and how to tell that they break the rules. */
export interface ShardTables extends ShardHeader {
  readonly runList: Buffer
  /** One object for a frame, however often it is asked for. */
  frameAt(frame: number): FramePlace
  fail(detail: string): never
}

/** Walks over the runs of a shard. */
export interface RunCursor {
  /** The next runs, `max` at most; empty at the end. A frame is one object for all of its runs.
   * @throws VaultError `malformed` where the runs break the rules of docs/format.md, section 5 */
  take(max: number): PlacedRun[]
}

/** The runs that touch the window, not clipped. The first one is found by halving; what does not touch it is not decoded. */
export const createRunCursor = (shard: ShardTables, window: Extent): RunCursor => {
  checkEnds(shard)
  const { runList } = shard
  const windowEnd = window.offsetBytes + window.lengthBytes
  let index = firstRunBehind(shard, window.offsetBytes)
  let endBytes = index === 0 ? shard.firstBytes : endOf(runList, index - 1)
  const next = (): PlacedRun | null => {
    const offsetBytes = offsetOf(runList, index)
    if (offsetBytes >= windowEnd) return null
    const lengthBytes = lengthOf(runList, index)
    if (lengthBytes === 0) shard.fail('a run is empty')
    if (offsetBytes < endBytes) shard.fail('the runs are not sorted')
    endBytes = offsetBytes + lengthBytes
    const run = placeRun(shard, index, offsetBytes, lengthBytes)
    index += 1
    return run
  }
  return {
    take: (max) => {
      const runs: PlacedRun[] = []
      while (runs.length < max && index < shard.runs) {
        const run = next()
        if (run === null) break
        runs.push(run)
      }
      return runs
    },
  }
}

const placeRun = (shard: ShardTables, index: number, offsetBytes: number, lengthBytes: number): PlacedRun => {
  const at = index * runEntryBytes
  const { runList } = shard
  if (runList.readUInt8(at + 7) > 127) {
    if (runList.readUInt32LE(at + 8) !== 0) shard.fail('bytes that must be zero are not')
    return { offsetBytes, lengthBytes, frame: null, framePosition: 0 }
  }
  const frame = shard.frameAt(runList.readUInt16LE(at + 8))
  const framePosition = runList.readUInt16LE(at + 10) * sectorBytes
  if (framePosition + lengthBytes > frame.plainBytes) shard.fail('a run goes beyond the end of its frame')
  return { offsetBytes, lengthBytes, frame, framePosition }
}

const offsetOf = (runList: Buffer, index: number): number => {
  const at = index * runEntryBytes
  return (runList.readUInt32LE(at) + runList.readUInt8(at + 4) * 2 ** 32) * sectorBytes
}

const lengthOf = (runList: Buffer, index: number): number =>
  ((runList.readUInt32LE(index * runEntryBytes + 4) >>> 8) & 0x7fffff) * sectorBytes

const endOf = (runList: Buffer, index: number): number => offsetOf(runList, index) + lengthOf(runList, index)

const checkEnds = ({ runList, runs, firstBytes, endBytes, fail }: ShardTables): void => {
  if (offsetOf(runList, 0) !== firstBytes || endOf(runList, runs - 1) !== endBytes)
    fail('the runs do not begin and end where the shard does')
}

/** The first run that ends behind the offset; the number of runs where none does. */
const firstRunBehind = ({ runList, runs }: ShardTables, offsetBytes: number): number => {
  let low = 0
  let high = runs
  while (low < high) {
    const middle = (low + high) >>> 1
    if (endOf(runList, middle) > offsetBytes) high = middle
    else low = middle + 1
  }
  return low
}
