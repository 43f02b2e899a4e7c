import type { FramePlace } from '../format/frame.ts'
import { releaseMemory } from '../format/release-memory.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { readExactly } from './objects.ts'

/** Fetches frames of one or more segments; neighbouring frames of a segment come in one ranged read.
 * @param memoryFor asked once for memory for so many bytes, all reads together; null where it has none. The frames lie in it then, and
 * it is the caller's to know when that ends */
export type FrameLoader = (
  frames: readonly FramePlace[],
  memoryFor?: (lengthBytes: number) => Buffer | null,
) => Map<FramePlace, Promise<StoredFrame>>

/** Holes up to this size between two wanted frames are read through (see TransferTuning.gapBytes). */
const gapBytes = 120 * 1024
/** One read at most, and as much as a reader of a disk fetches at once: a segment of 16 MiB in three reads. Fewer bytes at a time cost more:
 * Azurite, for one, reads twice what is at most 4 MiB. */
export const readBytesMax = 5.75 * 1024 * 1024

/** A frame as it is stored, not proven. */
export interface StoredFrame {
  /** Header and payload. */
  readonly bytes: Uint8Array
  /** Says that the bytes are no longer wanted; when all frames that were read together are done, their memory is given back at once. */
  readonly done: () => void
}

/** Promises that nobody awaits do not complain. */
export const createFrameLoader =
  (reader: ObjectReader, options: CallOptions): FrameLoader =>
  (frames, memoryFor = () => null) => {
    const loaded = new Map<FramePlace, Promise<StoredFrame>>()
    const groups = neighbours(frames)
    const memory = memoryFor(groups.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0))
    let takenBytes = 0
    for (const group of groups) {
      const into = memory?.subarray(takenBytes, takenBytes + group.lengthBytes)
      takenBytes += group.lengthBytes
      const bytes = readExactly(reader, group.segment, group, into === undefined ? options : { ...options, into })
      let left = group.frames.length
      for (const frame of group.frames) {
        const from = frame.placeBytes - group.offsetBytes
        const stored = bytes.then((all) => ({
          bytes: all.subarray(from, from + frame.storedBytes),
          done: () => {
            left -= 1
            if (left === 0 && all.buffer !== memory?.buffer) releaseMemory(all)
          },
        }))
        stored.catch(() => undefined)
        loaded.set(frame, stored)
      }
    }
    return loaded
  }

interface FrameGroup {
  readonly segment: string
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly frames: readonly FramePlace[]
}

const neighbours = (frames: readonly FramePlace[]): FrameGroup[] => {
  const sorted = frames.toSorted((a, b) =>
    a.segment === b.segment ? a.placeBytes - b.placeBytes : a.segment < b.segment ? -1 : 1,
  )
  const groups: FrameGroup[] = []
  for (const frame of sorted) {
    const last = groups.at(-1)
    if (last !== undefined && isNeighbour(last, frame)) {
      const lengthBytes = frame.placeBytes + frame.storedBytes - last.offsetBytes
      groups[groups.length - 1] = { ...last, lengthBytes, frames: [...last.frames, frame] }
    } else {
      const { segment, placeBytes, storedBytes } = frame
      groups.push({ segment, offsetBytes: placeBytes, lengthBytes: storedBytes, frames: [frame] })
    }
  }
  return groups
}

const isNeighbour = (group: FrameGroup, frame: FramePlace): boolean => {
  const end = group.offsetBytes + group.lengthBytes
  const isNear = frame.segment === group.segment && frame.placeBytes >= end && frame.placeBytes - end <= gapBytes
  return isNear && frame.placeBytes + frame.storedBytes - group.offsetBytes <= readBytesMax
}
