import { availableParallelism } from 'node:os'

/** Runs a task when a slot is free, first come, first served. */
export type Slots = <Result>(task: () => Promise<Result>) => Promise<Result>

/** @param count tasks that run at the same time, 1 or more */
export const createSlots = (count: number): Slots => {
  const waiting: (() => void)[] = []
  let free = count
  return async (task) => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    }
  }
}

/** The steps that move data, in this worker process. One of them keeps a core busy and holds some 60 MiB, so more of them at once would
 * only take memory: the host hands out activities by number, whatever they hold. Lanes and disks beyond it wait here, or on another
 * instance. */
export const transferSlots = createSlots(Math.min(4, availableParallelism()))
