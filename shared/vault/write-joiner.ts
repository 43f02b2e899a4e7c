import type { CallOptions } from '../ports/blob-store.ts'
import type { DiskWriter } from '../ports/disk-writer.ts'
import { giveBackMemory, takeMemory } from './kept-memory.ts'

/** Joins parts that follow each other into large writes, with several in flight. */
export interface WriteJoiner {
  /** Bytes handed over, filled holes included. */
  readonly writtenBytes: number
  /** @param bytes copied, where they do not lie in the memory of `memoryAt` already; in order of offset */
  add(offsetBytes: number, bytes: Uint8Array): Promise<void>
  /** Memory of the write that bytes from an offset on belong to, so that they need no copy, and one byte more. What follows up to their end
   * must be added without a hole. Null where they are too many, or begin among others that were given memory.
   * @param offsetBytes at or behind the end of what was added */
  memoryAt(offsetBytes: number, lengthBytes: number): Promise<Buffer | null>
  /** Everything is written when this resolves. */
  finish(): Promise<void>
  /** Waits for writes in flight, whatever becomes of them. */
  settle(): Promise<void>
}

/** A quarter of what one Put Page takes: several small ones in flight fill the network as a large one does, in a quarter of the memory. */
const writeBytesMax = 1024 * 1024
const writesInFlightMax = 2
/** A hole of zeros up to this size is written rather than spent a request on. */
const holeBytesMax = 32 * 1024

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
  const bridge = async (offsetBytes: number): Promise<void> => {
    if (buffer === null) return
    const hole = offsetBytes - beginsAt - filledBytes
    if (hole > holeBytesMax || filledBytes + hole >= writeBytesMax) return flush()
    buffer.fill(0, filledBytes, filledBytes + hole)
    filledBytes += hole
  }
  return {
    get writtenBytes() {
      return writtenBytes
    },
    add: async (offsetBytes, bytes) => {
      await bridge(offsetBytes)
      let at = 0
      while (at < bytes.length) {
        buffer ??= open(offsetBytes + at)
        const count = Math.min(bytes.length - at, writeBytesMax - filledBytes)
        const isThere = bytes.buffer === buffer.buffer && bytes.byteOffset + at === buffer.byteOffset + filledBytes
        if (!isThere) buffer.set(bytes.subarray(at, at + count), filledBytes)
        filledBytes += count
        at += count
        if (filledBytes === writeBytesMax) await flush()
      }
    },
    memoryAt: async (offsetBytes, lengthBytes) => {
      if (lengthBytes > writeBytesMax || offsetBytes < givenUntil) return null
      await bridge(offsetBytes)
      if (filledBytes + lengthBytes > writeBytesMax) await flush()
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
