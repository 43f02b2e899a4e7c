import type { KeyRing } from '../format/data-key.ts'
import { type FramePlace, openFrame } from '../format/frame.ts'
import { releaseMemory } from '../format/release-memory.ts'

/** Frames that are open at a time, at most one for each attempt that made them: the frames of an attempt come in order of offset, in a
 * folded layer, too, so only the last one can be wanted again. Deep stacks beyond this read some frames twice. */
const openFramesMax = 32
/** What nearly all frames need; one byte more than their capacity, see decompress. */
const memoryBytesMin = 1024 * 1024 + 1

/** The plain bytes of frames while they are read, in memory that is used again and again. */
export interface OpenFrames {
  /** The bytes of a frame that is open; null where it is not. */
  find(frame: FramePlace): Uint8Array | null
  /** Proves the frame and opens it; the one before of the same attempt, and its bytes, are gone.
   * @param stored header and payload
   * @throws VaultError */
  open(frame: FramePlace, stored: Uint8Array): Uint8Array
  /** Gives the memory back: all bytes are gone. */
  close(): void
}

export const createOpenFrames = (keys: KeyRing): OpenFrames => {
  const plains = new Map<FramePlace, Uint8Array>()
  const held = new Map<string, { readonly frame: FramePlace; readonly memory: Buffer }>()
  /** Memory of a frame that is no longer wanted, else new. */
  const memoryFor = (attempt: string, plainBytes: number): Buffer => {
    const oldest = held.size >= openFramesMax ? (held.keys().next().value ?? attempt) : attempt
    const left = held.get(attempt) ?? held.get(oldest)
    if (left !== undefined) plains.delete(left.frame)
    held.delete(held.has(attempt) ? attempt : oldest)
    const isEnough = left !== undefined && left.memory.length > plainBytes
    return isEnough ? left.memory : Buffer.allocUnsafeSlow(Math.max(memoryBytesMin, plainBytes + 1))
  }
  return {
    find: (frame) => plains.get(frame) ?? null,
    open: (frame, stored) => {
      const attempt = attemptOf(frame)
      const memory = memoryFor(attempt, frame.plainBytes)
      const opened = openFrame(stored, frame, keys, memory)
      const plain = memory.subarray(0, opened.length)
      // Bytes that were stored as they are would keep all that was read with them.
      if (opened.buffer !== memory.buffer) plain.set(opened)
      held.set(attempt, { frame, memory })
      plains.set(frame, plain)
      return plain
    },
    close: () => {
      for (const { memory } of held.values()) releaseMemory(memory)
      held.clear()
      plains.clear()
    },
  }
}

/** The attempt whose frames come in order of offset. */
export const attemptOf = ({ birth }: FramePlace): string =>
  `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt}`
