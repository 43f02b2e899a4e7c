import type { Extent } from '../domain/extent.ts'
import { type ByteReader, createByteReader, type Origin } from './byte-reader.ts'
import type { FramePlace } from './frame.ts'
import type { AttemptKey } from './frame-cipher.ts'
import { createRunCursor, type RunCursor, type ShardHeader, type ShardTables } from './run-cursor.ts'
import { sectorBytes } from './sectors.ts'
import { type PlacedRun, runEntryBytes, shardMagic } from './shard-builder.ts'

/** One shard's bytes, opened. Runs are decoded as they are asked for. */
export interface Shard extends ShardHeader {
  /** All runs in order of offset. @throws VaultError `malformed` where the list breaks the rules of docs/format.md, section 5 */
  placedRuns(): Generator<PlacedRun>
  /** The runs that touch the window, not clipped, batch by batch. The first one is found by binary search; what is not touched is not
   * decoded. */
  runsIn(window: Extent): RunCursor
}

const headerBytes = 48
const frameEntryBytes = 56
const runsPerBatch = 512

/** @param origin the object and the place in it where these bytes began
 * @throws VaultError */
export const openShard = (bytes: Uint8Array, origin: Origin): Shard => {
  const reader = createByteReader(bytes, origin)
  const header = readHeader(reader)
  const births = Array.from({ length: header.births }, () => ({
    recoveryPointId: reader.text(),
    disk: reader.text(),
    slice: reader.u32(),
    attempt: reader.u32(),
  }))
  const segments = Array.from({ length: header.segments }, () => reader.text())
  const runListBytes = header.runs * runEntryBytes
  if (reader.at + header.frames * frameEntryBytes + runListBytes !== bytes.length)
    reader.fail('the sections do not add up to the length')
  const frameAt = readFrames(reader, header.frames, births, segments)
  const { runs, frames, firstBytes, endBytes } = header
  const counts = { runs, frames, firstBytes, endBytes }
  const tables = { ...counts, runList: reader.raw(runListBytes), frameAt, fail: reader.fail }
  const whole = { offsetBytes: firstBytes, lengthBytes: endBytes - firstBytes }
  return {
    ...counts,
    *placedRuns() {
      const cursor = createRunCursor(tables, whole)
      const seen = new Set<FramePlace | null>([null])
      for (let batch = cursor.take(runsPerBatch); batch.length > 0; batch = cursor.take(runsPerBatch)) {
        for (const run of batch) seen.add(run.frame)
        yield* batch
      }
      if (seen.size !== frames + 1) reader.fail('a frame is named by no run')
    },
    runsIn: (window) => createRunCursor(tables, window),
  }
}

const readFrames = (
  reader: ByteReader,
  count: number,
  births: readonly AttemptKey[],
  segments: readonly string[],
): ShardTables['frameAt'] => {
  const table = reader.raw(count * frameEntryBytes)
  const known: FramePlace[] = []
  const decode = (at: number): FramePlace => {
    const birth = births[table.readUInt16LE(at + 2)] ?? reader.fail('a frame names a birth that is not listed')
    if (table.readUInt32LE(at + 20) !== 0) reader.fail('bytes that must be zero are not')
    return {
      segment: segments[table.readUInt16LE(at)] ?? reader.fail('a frame names a segment that is not listed'),
      placeBytes: table.readUInt32LE(at + 4),
      storedBytes: table.readUInt32LE(at + 8),
      plainBytes: table.readUInt32LE(at + 12),
      digest: table.subarray(at + 24, at + frameEntryBytes),
      birth: { ...birth, ordinal: table.readUInt32LE(at + 16) },
    }
  }
  return (frame) => {
    if (frame >= count) reader.fail('a run names a frame that is not listed')
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
  if (frames * frameEntryBytes > reader.remaining + headerBytes) reader.fail('the frame table is longer than the shard')
  return { runs, frames, births, segments, firstBytes, endBytes }
}
