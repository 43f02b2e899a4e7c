import type { CallOptions } from '../ports/blob-store.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import { giveBackMemory, takeMemory } from './kept-memory.ts'

/** Bytes for one place of the disk; null: zeros, which it has. */
export interface WritePart {
  readonly offsetBytes: number
  readonly bytes: Uint8Array | null
}

/** Joins parts that follow each other into large writes, with several in flight. */
export interface WriteJoiner {
  /** Bytes handed over, filled holes included. */
  readonly writtenBytes: number
  /** @param parts in order of offset, zeros left out or null; their bytes are copied, where they do not lie in the memory of `memoryAt`
   * already, and free again when this resolves */
  add(parts: readonly WritePart[]): Promise<void>
  /** Memory of the write that bytes from an offset on belong to, so that they need no copy, and one byte more. What follows up to their end
   * must be added without a hole. Null where they are too many, or begin among others that were given memory.
   * @param offsetBytes at or behind the end of what was added */
  memoryAt(offsetBytes: number, lengthBytes: number): Promise<Buffer | null>
  /** Everything is written when this resolves. */
  finish(): Promise<void>
  /** Waits for writes in flight, whatever becomes of them. */
  settle(): Promise<void>
}

/** Half of what one Put Page takes: two in flight fill the network as a larger one does, in less memory. Writes half as long cost both sides
 * together nearly a tenth more of their CPU. */
const writeBytesMax = 2 * 1024 * 1024
const writesInFlightMax = 2
/** A hole of zeros up to this size is written rather than spent a request on. */
const holeBytesMax = 32 * 1024

/** Nothing in flight yet. Parts are added in order of offset, one at a time. */
export const createWriteJoiner = (writer: DiskWriter, options: CallOptions): WriteJoiner => {
  const writes = new Set<Promise<void>>()
  const pool: Buffer[] = []
  let buffer: Buffer | null = null
  let beginsAt = 0
  let filledBytes = 0
  let writtenBytes = 0
  let givenUntil = 0
  const flush = async (): Promise<void> => {
    if (buffer === null) return
    while (writes.size >= writesInFlightMax) await Promise.race(writes)
    const memory = buffer
    const done = writer.write(beginsAt, memory.subarray(0, filledBytes), options).then(() => {
      pool.push(memory)
      writes.delete(done)
    })
    done.catch(() => undefined)
    writes.add(done)
    writtenBytes += filledBytes
    buffer = null
    filledBytes = 0
  }
  const open = (offsetBytes: number): Buffer => {
    beginsAt = offsetBytes
    filledBytes = 0
    return pool.pop() ?? takeMemory(writeBytesMax + 1)
  }
  /** Fills the hole up to an offset. @returns false where another write begins there */
  const isBridged = (offsetBytes: number): boolean => {
    if (buffer === null) return true
    const hole = offsetBytes - beginsAt - filledBytes
    if (hole > holeBytesMax || filledBytes + hole >= writeBytesMax) return false
    if (hole > 0) buffer.fill(0, filledBytes, filledBytes + hole)
    filledBytes += hole
    return true
  }
  const addOne = async (offsetBytes: number, bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length; ) {
      at += take(offsetBytes + at, bytes.subarray(at))
      if (filledBytes === writeBytesMax) await flush()
    }
  }
  /** @returns how many of the bytes there was room for */
  const take = (offsetBytes: number, bytes: Uint8Array): number => {
    buffer ??= open(offsetBytes)
    const count = Math.min(bytes.length, writeBytesMax - filledBytes)
    const isThere = bytes.buffer === buffer.buffer && bytes.byteOffset === buffer.byteOffset + filledBytes
    if (!isThere) buffer.set(bytes.subarray(0, count), filledBytes)
    filledBytes += count
    return count
  }
  return {
    get writtenBytes() {
      return writtenBytes
    },
    add: async (parts) => {
      for (const { offsetBytes, bytes } of parts) {
        if (bytes === null) continue
        if (!isBridged(offsetBytes)) await flush()
        if (filledBytes + bytes.length < writeBytesMax) take(offsetBytes, bytes)
        else await addOne(offsetBytes, bytes)
      }
    },
    memoryAt: async (offsetBytes, lengthBytes) => {
      if (lengthBytes > writeBytesMax || offsetBytes < givenUntil) return null
      if (!isBridged(offsetBytes) || filledBytes + lengthBytes > writeBytesMax) await flush()
      buffer ??= open(offsetBytes)
      givenUntil = offsetBytes + lengthBytes
      return buffer.subarray(filledBytes, filledBytes + lengthBytes + 1)
    },
    finish: async () => {
      await flush()
      await Promise.all(writes)
      for (const memory of pool.splice(0)) giveBackMemory(memory)
    },
    settle: async () => {
      await Promise.allSettled(writes)
    },
  }
}
