import assert from 'node:assert/strict'
import { type ByteWriter, createByteWriter } from './byte-writer.ts'
import type { FramePlace } from './frame.ts'
import { createFrameTable } from './frame-table.ts'
import { formatVersion, sectorBytes } from './sectors.ts'

/** A part of a disk that is either all zero or takes its bytes from the next plain bytes of the frames. */
export interface Run {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly isZero: boolean
}

/** A run with the place of its bytes: in `frame`, from `framePosition` on; null for zeros. */
export interface PlacedRun {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly frame: FramePlace | null
  readonly framePosition: number
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
  /** A run of another index, of zeros where its frame is null. A frame is listed once, however many runs name it. */
  addPlaced(run: PlacedRun): void
  /** Null where nothing was added. */
  finish(): EncodedShard | null
}

/** Begins every shard. */
export const shardMagic = Buffer.from('DVSHARD\0', 'latin1')
/** A run entry: where the run begins, how long it is and whether it is zero, in this many bytes whatever the disk's size. */
export const runEntryBytes = 12
/** 23 bits of length; a whole number of pages, so that the parts of a run that is split begin at pages if it does. */
const runSectorsMax = 2 ** 23 - 8
const firstSectorMax = 2 ** 40 - 1

/** Its assertions hold for any disk below 512 TiB: a run has 40 bits for its first sector. */
export const createShardBuilder = (): ShardBuilder => {
  const runList = createByteWriter(4096)
  const table = createFrameTable()
  let runs = 0
  let firstBytes = 0
  let endBytes = 0
  /** @param positionBytes where the run's bytes begin in the frame's plain bytes */
  const addRun = (run: Run, frame: number, positionBytes: number): void => {
    if (runs === 0) {
      firstBytes = run.offsetBytes
      endBytes = firstBytes
    }
    assert(run.offsetBytes >= endBytes && run.lengthBytes > 0, 'runs are sorted and not empty')
    for (const bytes of [run.offsetBytes, run.lengthBytes, positionBytes]) assert(bytes % sectorBytes === 0)
    endBytes = run.offsetBytes + run.lengthBytes
    const sector = run.offsetBytes / sectorBytes
    const sectors = run.lengthBytes / sectorBytes
    assert(sector + sectors <= firstSectorMax, 'a disk ends before 512 TiB')
    for (let at = 0; at < sectors; at += runSectorsMax) {
      writeRun(runList, sector + at, Math.min(runSectorsMax, sectors - at), run.isZero)
      runList.u16(run.isZero ? 0 : frame)
      runList.u16(run.isZero ? 0 : positionBytes / sectorBytes + at)
      runs += 1
    }
  }
  const header = (): Buffer => {
    const writer = createByteWriter(64)
    writer.raw(shardMagic)
    writer.u8(formatVersion)
    writer.zeros(3)
    writer.u32(runs)
    writer.u32(table.frames)
    writer.u16(table.births)
    writer.u16(table.segments)
    writer.u32(runList.lengthBytes)
    writer.zeros(4)
    writer.u64(firstBytes / sectorBytes)
    writer.u64(endBytes / sectorBytes)
    return writer.finish()
  }
  const clear = (): void => {
    runList.clear()
    table.clear()
    runs = 0
  }
  return {
    get runs() {
      return runs
    },
    get frames() {
      return table.frames
    },
    add: (added, frame) => {
      const number = frame === null ? 0 : table.add(frame)
      let positionBytes = 0
      for (const run of added) {
        addRun(run, number, positionBytes)
        if (!run.isZero) positionBytes += run.lengthBytes
      }
      assert(positionBytes === (frame?.plainBytes ?? 0), 'the data runs use up their frame')
    },
    addPlaced: ({ offsetBytes, lengthBytes, frame, framePosition }) => {
      const number = frame === null ? 0 : table.numberOf(frame)
      addRun({ offsetBytes, lengthBytes, isZero: frame === null }, number, framePosition)
    },
    finish: () => {
      if (runs === 0) return null
      const bytes = Buffer.concat([header(), ...table.parts(), runList.view()])
      const shard = { bytes, firstBytes, endBytes, frames: table.frames, runs }
      clear()
      return shard
    },
  }
}

const writeRun = (runList: ByteWriter, sector: number, sectors: number, isZero: boolean): void => {
  const high = Math.floor(sector / 2 ** 32)
  runList.u32(sector % 2 ** 32)
  runList.u32(high + sectors * 2 ** 8 + (isZero ? 2 ** 31 : 0))
}
