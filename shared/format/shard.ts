import { type ByteReader, createByteReader, type Origin } from './byte-reader.ts'
import type { FramePlace } from './frame.ts'
import { sectorBytes } from './sectors.ts'
import { type Run, shardMagic } from './shard-builder.ts'

/** A run with the place of its bytes: in `frame`, from `framePosition` on; null for zeros. */
export interface PlacedRun {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly frame: FramePlace | null
  readonly framePosition: number
}

export interface ShardHeader {
  readonly runs: number
  readonly frames: number
  readonly firstBytes: number
  readonly endBytes: number
}

/** One shard's bytes, opened. Runs are decoded as they are asked for. */
export interface Shard extends ShardHeader {
  /** All runs in order of offset. @throws VaultError `malformed` where the list breaks the rules of docs/format.md, section 5 */
  placedRuns(): Generator<PlacedRun>
}

const headerBytes = 48
const frameEntryBytes = 56

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
  const frameTableAt = reader.at
  const runListAt = frameTableAt + header.frames * frameEntryBytes
  if (runListAt + header.runListBytes !== bytes.length) reader.fail('the sections do not add up to the length')
  const frameAt = (index: number): FramePlace => {
    const entry = createByteReader(bytes, origin, frameTableAt + index * frameEntryBytes)
    const segment = segments[entry.u16()] ?? entry.fail('a frame names a segment that is not listed')
    const birth = births[entry.u16()] ?? entry.fail('a frame names a birth that is not listed')
    const numbers = { placeBytes: entry.u32(), storedBytes: entry.u32(), plainBytes: entry.u32() }
    const ordinal = entry.u32()
    entry.zeros(4)
    return { segment, ...numbers, digest: entry.raw(32), birth: { ...birth, ordinal } }
  }
  return {
    ...header,
    placedRuns: () => placeRuns(header, createByteReader(bytes, origin, runListAt), frameAt),
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
  if (frames * frameEntryBytes > reader.remaining + headerBytes) reader.fail('the frame table is longer than the shard')
  return { runs, frames, births, segments, runListBytes, firstBytes, endBytes }
}

/** Runs with a cursor over the frames: data runs take the plain bytes of one frame after the other. */
function* placeRuns(
  header: ShardHeader,
  reader: ByteReader,
  frameAt: (index: number) => FramePlace,
): Generator<PlacedRun> {
  let frame: FramePlace | null = null
  let position = 0
  let nextFrame = 0
  for (const run of decodeRuns(header, reader)) {
    if (run.isZero) {
      yield { offsetBytes: run.offsetBytes, lengthBytes: run.lengthBytes, frame: null, framePosition: 0 }
      continue
    }
    if (frame === null) {
      if (nextFrame >= header.frames) reader.fail('there are more data runs than frames')
      frame = frameAt(nextFrame)
      nextFrame += 1
      position = 0
    }
    if (position + run.lengthBytes > frame.plainBytes) reader.fail('a run crosses the end of its frame')
    yield { offsetBytes: run.offsetBytes, lengthBytes: run.lengthBytes, frame, framePosition: position }
    position += run.lengthBytes
    if (position === frame.plainBytes) frame = null
  }
  if (frame !== null || nextFrame !== header.frames) reader.fail('the runs do not use up the frames')
}

function* decodeRuns(header: ShardHeader, reader: ByteReader): Generator<Run> {
  let end = header.firstBytes
  for (let index = 0; index < header.runs; index += 1) {
    const offsetBytes = end + reader.varint() * sectorBytes
    const coded = reader.varint()
    const lengthBytes = Math.floor(coded / 2) * sectorBytes
    if (lengthBytes === 0) reader.fail('a run is empty')
    end = offsetBytes + lengthBytes
    if (end > header.endBytes) reader.fail('a run ends behind the end of the shard')
    yield { offsetBytes, lengthBytes, isZero: coded % 2 === 1 }
  }
  if (end !== header.endBytes || reader.remaining > 0) reader.fail('the runs do not end where the shard does')
}
