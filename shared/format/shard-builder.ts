import assert from 'node:assert/strict'
import { createByteWriter } from './byte-writer.ts'
import type { FramePlace } from './frame.ts'
import { formatVersion, sectorBytes } from './sectors.ts'

/** A part of a disk that is either all zero or takes its bytes from the next plain bytes of the frames. */
export interface Run {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly isZero: boolean
}

/** A shard as it goes into an object, with what its fence key needs. */
export interface EncodedShard {
  readonly bytes: Uint8Array
  readonly firstBytes: number
  readonly endBytes: number
  readonly frames: number
  readonly runs: number
}

/** Gathers runs and frames in order of offset (docs/format.md, section 5). Runs are encoded as they come, so memory is that of the
 * encoded form. Used again after `finish`. */
export interface ShardBuilder {
  readonly runs: number
  readonly frames: number
  /** @param runs sorted, behind everything added before; the data runs use up `frame` exactly; all zero runs if it is null */
  add(runs: readonly Run[], frame: FramePlace | null): void
  /** Null where nothing was added. */
  finish(): EncodedShard | null
}

export const shardMagic = Buffer.from('DVSHARD\0', 'latin1')

export const createShardBuilder = (): ShardBuilder => {
  const runList = createByteWriter(4096)
  const frameTable = createByteWriter(4096)
  const births = createTable()
  const segments = createTable()
  let runs = 0
  let frames = 0
  let firstBytes = 0
  let endBytes = 0
  const addRun = (run: Run): void => {
    if (runs === 0) {
      firstBytes = run.offsetBytes
      endBytes = firstBytes
    }
    assert(run.offsetBytes >= endBytes && run.lengthBytes > 0, 'runs are sorted and not empty')
    assert(run.offsetBytes % sectorBytes === 0 && run.lengthBytes % sectorBytes === 0)
    runList.varint((run.offsetBytes - endBytes) / sectorBytes)
    runList.varint((run.lengthBytes / sectorBytes) * 2 + (run.isZero ? 1 : 0))
    endBytes = run.offsetBytes + run.lengthBytes
    runs += 1
  }
  const addFrame = (frame: FramePlace): void => {
    frameTable.u16(segments.numberOf(frame.segment, (writer) => writer.text(frame.segment)))
    frameTable.u16(births.numberOf(birthKey(frame), (writer) => writeBirth(writer, frame)))
    frameTable.u32(frame.placeBytes)
    frameTable.u32(frame.storedBytes)
    frameTable.u32(frame.plainBytes)
    frameTable.u32(frame.birth.ordinal)
    frameTable.zeros(4)
    frameTable.raw(frame.digest)
    frames += 1
  }
  const header = (): Buffer => {
    const writer = createByteWriter(64)
    writer.raw(shardMagic)
    writer.u8(formatVersion)
    writer.zeros(3)
    writer.u32(runs)
    writer.u32(frames)
    writer.u16(births.count())
    writer.u16(segments.count())
    writer.u32(runList.lengthBytes)
    writer.zeros(4)
    writer.u64(firstBytes / sectorBytes)
    writer.u64(endBytes / sectorBytes)
    return writer.finish()
  }
  const clear = (): void => {
    for (const part of [runList, frameTable, births, segments]) part.clear()
    runs = 0
    frames = 0
  }
  return {
    get runs() {
      return runs
    },
    get frames() {
      return frames
    },
    add: (added, frame) => {
      const dataBytes = added.reduce((sum, run) => sum + (run.isZero ? 0 : run.lengthBytes), 0)
      assert(dataBytes === (frame?.plainBytes ?? 0), 'the data runs use up their frame')
      for (const run of added) addRun(run)
      if (frame !== null) addFrame(frame)
    },
    finish: () => {
      if (runs === 0) return null
      const bytes = Buffer.concat([header(), births.view(), segments.view(), frameTable.view(), runList.view()])
      const shard = { bytes, firstBytes, endBytes, frames, runs }
      clear()
      return shard
    },
  }
}

const birthKey = ({ birth }: FramePlace): string =>
  `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt}`

const writeBirth = (writer: ReturnType<typeof createByteWriter>, { birth }: FramePlace): void => {
  writer.text(birth.recoveryPointId)
  writer.text(birth.disk)
  writer.u32(birth.slice)
  writer.u32(birth.attempt)
}

/** Entries that frames name by number; each is written once. */
const createTable = () => {
  const writer = createByteWriter(256)
  const numbers = new Map<string, number>()
  return {
    numberOf: (key: string, write: (to: typeof writer) => void): number => {
      const known = numbers.get(key)
      if (known !== undefined) return known
      write(writer)
      numbers.set(key, numbers.size)
      return numbers.size - 1
    },
    count: () => numbers.size,
    view: () => writer.view(),
    clear: () => {
      writer.clear()
      numbers.clear()
    },
  }
}
