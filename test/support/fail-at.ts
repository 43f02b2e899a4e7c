import { StorageError } from '../../shared/ports/blob-store.ts'
import { createMemoryBlobStore, type MemoryBlobStore, SimulatedCrash, type StoreFault } from './memory-blob-store.ts'

interface Stores {
  readonly vault: MemoryBlobStore
  readonly control: MemoryBlobStore
}

/** Counts the calls of both stores as one sequence and makes one of them fail.
 * @param target number of the call, from 1
 * @returns how many calls there were so far */
export const failAt = (world: Stores, target: number, fault: StoreFault): (() => number) => {
  let number = 0
  const decide = (): StoreFault | null => {
    number += 1
    return number === target ? fault : null
  }
  world.vault.fault = decide
  world.control.fault = decide
  return () => number
}

/** Does the same work again and again on copies of what is stored, each time with the next call failing, until there is none left to fail.
 * @param act.work what fails; its death is no error
 * @param act.check what holds of the copy afterwards
 * @returns how many calls the work makes */
export const failAtEachCall = async <World extends Stores>(
  before: Stores,
  fault: StoreFault,
  act: {
    /** What works on a copy. */
    readonly worldOf: (copy: Stores) => World
    readonly work: (broken: World) => Promise<unknown>
    readonly check: (copy: Stores, target: number) => Promise<void>
  },
): Promise<number> => {
  for (let target = 1; ; target += 1) {
    const copy = {
      vault: createMemoryBlobStore(new Map(before.vault.objects)),
      control: createMemoryBlobStore(new Map(before.control.objects)),
    }
    const broken = act.worldOf(copy)
    const calls = failAt(broken, target, fault)
    await act.work(broken).catch((error: unknown) => {
      if (!(error instanceof SimulatedCrash)) throw error
    })
    await act.check(copy, target)
    if (calls() < target) return calls()
  }
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
