import { giveBackMemory, takeMemory } from './kept-memory.ts'

/** Memory for batches that are used up one after another, so many at a time. */
export interface BatchMemory {
  /** For the next batch: null where it needs less than half of what would be held for it, or more than that.
   * The one before last, or further back where more are under way, must be used up. */
  next(lengthBytes: number): Buffer | null
  /** Only after every read has ended well: one that failed may still be writing. */
  close(): void
}

/** @param capacityBytes of one batch
 * @param batches under way at a time */
export const createBatchMemory = (capacityBytes: number, batches: number): BatchMemory => {
  const held: Buffer[] = []
  let turn = 0
  return {
    next: (lengthBytes) => {
      if (lengthBytes > capacityBytes || lengthBytes * 2 < capacityBytes) return null
      const memory = held[turn] ?? takeMemory(capacityBytes)
      held[turn] = memory
      turn = (turn + 1) % batches
      return memory
    },
    close: () => {
      for (const memory of held.splice(0)) giveBackMemory(memory)
    },
  }
}
