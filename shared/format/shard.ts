import assert from 'node:assert/strict'
import type { Extent } from '../domain/extent.ts'
import { type ByteReader, createByteReader, type Origin } from './byte-reader.ts'
import { checkShard, frameEntryBytes } from './check-shard.ts'
import type { FramePlace } from './frame.ts'
import type { AttemptKey } from './frame-cipher.ts'
import { framesMax } from './frame-table.ts'
import { createRunCursor, type RunCursor, type ShardHeader, type ShardTables } from './run-cursor.ts'
import { frameCapacityBytesMax, sectorBytes } from './sectors.ts'
import { type PlacedRun, runEntryBytes, shardMagic } from './shard-builder.ts'

/** One shard's bytes, opened and checked. Runs are decoded as they are asked for. */
export interface Shard extends ShardHeader {
  /** Names of the segments that its frames lie in. */
  readonly segments: readonly string[]
  /** All runs in order of offset. */
  placedRuns(): Generator<PlacedRun>
  /** The runs that touch the window, not clipped, batch by batch. The first one is found by binary search; what is not touched is not
   * decoded. */
  runsIn(window: Extent): RunCursor
}

const runsPerBatch = 512

/** @param origin the object and the place in it where these bytes began
 * @param frameCapacityBytes the footer's, where there is one
 * @throws VaultError `malformed` where anything in it breaks the rules of docs/format.md, section 5 */
export const openShard = (bytes: Uint8Array, origin: Origin, frameCapacityBytes = frameCapacityBytesMax): Shard => {
  const reader = createByteReader(bytes, origin)
  const header = readHeader(reader)
  const births = Array.from({ length: header.births }, () => ({
    recoveryPointId: reader.text(),
    disk: reader.text(),
    slice: reader.u32(),
    attempt: reader.u32(),
  }))
  const segments = Array.from({ length: header.segments }, () => reader.text())
  const { runs, frames, firstBytes, endBytes } = header
  const counts = { runs, frames, firstBytes, endBytes }
  if (reader.at + frames * frameEntryBytes + runs * runEntryBytes !== bytes.length)
    reader.fail('the sections do not add up to the length')
  const frameTable = reader.raw(frames * frameEntryBytes)
  const runList = reader.raw(runs * runEntryBytes)
  checkShard({ ...counts, births, segments, frameTable, runList, fail: reader.fail }, frameCapacityBytes)
  const tables = { ...counts, runList, frameAt: frameTableOf(frameTable, births, segments) }
  const whole = { offsetBytes: firstBytes, lengthBytes: endBytes - firstBytes }
  return {
    ...counts,
    segments,
    *placedRuns() {
      const cursor = createRunCursor(tables, whole)
      for (let batch = cursor.take(runsPerBatch); batch.length > 0; batch = cursor.take(runsPerBatch)) yield* batch
    },
    runsIn: (window) => createRunCursor(tables, window),
  }
}

/** Frames are decoded as they are asked for. */
const frameTableOf = (
  table: Buffer,
  births: readonly AttemptKey[],
  segments: readonly string[],
): ShardTables['frameAt'] => {
  const known: FramePlace[] = []
  const decode = (at: number): FramePlace => {
    const birth = births[table.readUInt16LE(at + 2)]
    const segment = segments[table.readUInt16LE(at)]
    assert(birth !== undefined && segment !== undefined, 'a shard is checked before it is read')
    return {
      segment,
      placeBytes: table.readUInt32LE(at + 4),
      storedBytes: table.readUInt32LE(at + 8),
      plainBytes: table.readUInt32LE(at + 12),
      digest: table.subarray(at + 24, at + frameEntryBytes),
      birth: { ...birth, ordinal: table.readUInt32LE(at + 16) },
    }
  }
  return (frame) => {
    known[frame] ??= decode(frame * frameEntryBytes)
    return known[frame]
  }
}

const readHeader = (reader: ByteReader) => {
  reader.magic(shardMagic)
  reader.version()
  reader.zeros(3)
  const runs = reader.u32()
  const frames = reader.u32()
  const births = reader.u16()
  const segments = reader.u16()
  const runListBytes = reader.u32()
  reader.zeros(4)
  const firstBytes = reader.u64() * sectorBytes
  const endBytes = reader.u64() * sectorBytes
  if (runs === 0 || !Number.isSafeInteger(endBytes)) reader.fail('the counts of the shard are impossible')
  if (runListBytes !== runs * runEntryBytes) reader.fail('the run list has another length than its runs')
  if (frames > framesMax) reader.fail('more frames than a run can name')
  return { runs, frames, births, segments, firstBytes, endBytes }
}
