import type { KeyRing } from '../format/data-key.ts'
import { type FramePlace, openFrame } from '../format/frame.ts'
import { giveBackMemory, takeMemory } from './kept-memory.ts'

/** Frames that are open at a time, at most one for each transfer of a disk that made them: its slices, and the frames of each, come in order of
 * offset, in a folded layer, too, so only the last one can be wanted again. Deep stacks beyond this read some frames twice. */
const openFramesMax = 32
/** What nearly all frames need; one byte more than their capacity, see decompress. */
const memoryBytesMin = 1024 * 1024 + 1

/** The plain bytes of frames while they are read, in memory that is used again and again or that the caller has for one. */
export interface OpenFrames {
  /** The bytes of a frame that is open; null where it is not. */
  find(frame: FramePlace): Uint8Array | null
  /** Proves the frame and opens it; the one before of the same transfer, and its bytes, are gone.
   * @param stored header and payload
   * @param target where its bytes belong, longer than they are; null: in memory of its own
   * @throws VaultError */
  open(frame: FramePlace, stored: Uint8Array, target?: Buffer | null): Uint8Array
  /** The frame is open no more. */
  drop(frame: FramePlace): void
  /** Gives the memory back: all bytes are gone. */
  close(): void
}

/** None open yet. For one reading at a time: whoever reads closes it.
 * @param keys for frames that are encrypted */
export const createOpenFrames = (keys: KeyRing): OpenFrames => {
  const plains = new Map<FramePlace, Uint8Array>()
  /** By transfer, the one that was opened first comes first. */
  const last = new Map<string, FramePlace>()
  const own = new Map<string, Buffer>()
  const spare: Buffer[] = []
  const drop = (frame: FramePlace | undefined): void => {
    if (frame === undefined || !plains.delete(frame)) return
    last.delete(transferOf(frame))
  }
  const makeRoom = (): void => {
    const oldest = last.size < openFramesMax ? undefined : last.keys().next().value
    if (oldest === undefined) return
    drop(last.get(oldest))
    const memory = own.get(oldest)
    own.delete(oldest)
    if (memory !== undefined) spare.push(memory)
  }
  /** Memory of a frame that is no longer wanted, else new. */
  const memoryFor = (transfer: string, plainBytes: number): Buffer => {
    const left = own.get(transfer) ?? spare.pop()
    const isEnough = left !== undefined && left.length > plainBytes
    const memory = isEnough ? left : takeMemory(Math.max(memoryBytesMin, plainBytes + 1))
    own.set(transfer, memory)
    return memory
  }
  return {
    find: (frame) => plains.get(frame) ?? null,
    open: (frame, stored, target = null) => {
      const transfer = transferOf(frame)
      drop(last.get(transfer))
      makeRoom()
      const memory = target ?? memoryFor(transfer, frame.plainBytes)
      const opened = openFrame(stored, frame, keys, memory)
      const plain = memory.subarray(0, opened.length)
      // Bytes that were stored as they are would keep all that was read with them.
      if (opened.buffer !== memory.buffer) plain.set(opened)
      last.set(transfer, frame)
      plains.set(frame, plain)
      return plain
    },
    drop,
    close: () => {
      for (const memory of [...own.values(), ...spare]) giveBackMemory(memory)
      own.clear()
      spare.splice(0)
      last.clear()
      plains.clear()
    },
  }
}

/** The transfer whose frames come in order of offset. */
export const transferOf = ({ birth }: FramePlace): string => `${birth.recoveryPointId}/${birth.disk}`

/** The attempt whose frames come in order of offset. */
export const attemptOf = ({ birth }: FramePlace): string =>
  `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt}`
