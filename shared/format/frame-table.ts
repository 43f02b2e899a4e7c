import assert from 'node:assert/strict'
import { type ByteWriter, createByteWriter } from './byte-writer.ts'
import type { FramePlace } from './frame.ts'

/** The births, segments and frame entries of a shard as it is being built. */
export interface FrameTable {
  readonly frames: number
  readonly births: number
  readonly segments: number
  /** Lists the frame. @returns its number */
  add(frame: FramePlace): number
  /** The number of a frame that may be listed already, be it under another object of the same place. */
  numberOf(frame: FramePlace): number
  /** The three lists, encoded, as a shard has them one after another. Good until the next frame. */
  parts(): readonly Uint8Array[]
  /** Starts over, keeping the memory. */
  clear(): void
}

/** A run names its frame in 16 bits. */
export const framesMax = 65_535

/** Empty. Frames are encoded as they come. */
export const createFrameTable = (): FrameTable => {
  const entries = createByteWriter(4096)
  const births = createTable()
  const segments = createTable()
  const placed = new Map<string, number>()
  const known = new Map<FramePlace, number>()
  let frames = 0
  const add = (frame: FramePlace): number => {
    assert(frames < framesMax, 'a shard has 65,535 frames at most')
    entries.u16(segments.numberOf(frame.segment, (writer) => writer.text(frame.segment)))
    entries.u16(births.numberOf(birthKey(frame), (writer) => writeBirth(writer, frame)))
    entries.u32(frame.placeBytes)
    entries.u32(frame.storedBytes)
    entries.u32(frame.plainBytes)
    entries.u32(frame.birth.ordinal)
    entries.zeros(4)
    entries.raw(frame.digest)
    frames += 1
    return frames - 1
  }
  const addPlaced = (frame: FramePlace): number => {
    const key = `${frame.segment}@${frame.placeBytes}`
    const number = placed.get(key) ?? add(frame)
    placed.set(key, number)
    known.set(frame, number)
    return number
  }
  return {
    get frames() {
      return frames
    },
    get births() {
      return births.count()
    },
    get segments() {
      return segments.count()
    },
    add,
    numberOf: (frame) => known.get(frame) ?? addPlaced(frame),
    parts: () => [births.view(), segments.view(), entries.view()],
    clear: () => {
      for (const part of [entries, births, segments, placed, known]) part.clear()
      frames = 0
    },
  }
}

const birthKey = ({ birth }: FramePlace): string =>
  `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt}`

const writeBirth = (writer: ByteWriter, { birth }: FramePlace): void => {
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
