import type { KeyRing } from '../format/data-key.ts'
import { type FramePlace, openFrame } from '../format/frame.ts'
import { giveBackMemory, takeMemory } from './kept-memory.ts'

/** Frames that are open at a time, at most one for each transfer of a disk that made them: its slices, and the frames of each, come in order of
 * offset, in a folded layer, too, so only the last one can be wanted again. Deep stacks beyond this read some frames twice. */
const openFramesMax = 32
/** What nearly all frames need; one byte more than their capacity, see decompress. */
const memoryBytesMin = 1024 * 1024 + 1

/** The plain bytes of frames while they are read, in memory that is used again and again. */
export interface OpenFrames {
  /** The bytes of a frame that is open; null where it is not. */
  find(frame: FramePlace): Uint8Array | null
  /** Proves the frame and opens it; the one before of the same transfer, and its bytes, are gone.
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
  const memoryFor = (transfer: string, plainBytes: number): Buffer => {
    const oldest = held.size >= openFramesMax ? (held.keys().next().value ?? transfer) : transfer
    const left = held.get(transfer) ?? held.get(oldest)
    if (left !== undefined) plains.delete(left.frame)
    held.delete(held.has(transfer) ? transfer : oldest)
    const isEnough = left !== undefined && left.memory.length > plainBytes
    return isEnough ? left.memory : takeMemory(Math.max(memoryBytesMin, plainBytes + 1))
  }
  return {
    find: (frame) => plains.get(frame) ?? null,
    open: (frame, stored) => {
      const transfer = transferOf(frame)
      const memory = memoryFor(transfer, frame.plainBytes)
      const opened = openFrame(stored, frame, keys, memory)
      const plain = memory.subarray(0, opened.length)
      // Bytes that were stored as they are would keep all that was read with them.
      if (opened.buffer !== memory.buffer) plain.set(opened)
      held.set(transfer, { frame, memory })
      plains.set(frame, plain)
      return plain
    },
    close: () => {
      for (const { memory } of held.values()) giveBackMemory(memory)
      held.clear()
      plains.clear()
    },
  }
}

/** The transfer whose frames come in order of offset. */
export const transferOf = ({ birth }: FramePlace): string => `${birth.recoveryPointId}/${birth.disk}`

/** The attempt whose frames come in order of offset. */
export const attemptOf = ({ birth }: FramePlace): string =>
  `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt}`
