import { StorageError } from '../../shared/ports/blob-store.ts'
import { type MemoryBlobStore, SimulatedCrash, type StoreFault } from './memory-blob-store.ts'

/** Counts the calls of both stores as one sequence and makes one of them fail.
 * @param target number of the call, from 1 */
export const failAt = (
  world: { readonly vault: MemoryBlobStore; readonly control: MemoryBlobStore },
  target: number,
  fault: StoreFault,
): void => {
  let number = 0
  const decide = (): StoreFault | null => {
    number += 1
    return number === target ? fault : null
  }
  world.vault.fault = decide
  world.control.fault = decide
}

/** What a run comes to; `broken` where a storage that fails, or the death of the process, ends it. */
export const orBroken = async <Result>(run: Promise<Result>): Promise<Result | 'broken'> => {
  try {
    return await run
  } catch (error) {
    if (error instanceof SimulatedCrash || error instanceof StorageError) return 'broken'
    throw error
  }
}
