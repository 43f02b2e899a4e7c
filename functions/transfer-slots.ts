import { availableParallelism } from 'node:os'
import { leanHeap } from './lean-heap.ts'

/** Runs a task when as many slots are free as it takes, first come, first served. */
export type Slots = <Result>(task: () => Promise<Result>, slots?: number) => Promise<Result>

/** @param count slots in all, 1 or more; a task that takes more gets them all */
export const createSlots = (count: number): Slots => {
  const waiting: { readonly slots: number; readonly go: () => void }[] = []
  let free = count
  const next = (): void => {
    for (let head = waiting[0]; head !== undefined && head.slots <= free; head = waiting[0]) {
      waiting.shift()
      free -= head.slots
      head.go()
    }
  }
  return async (task, asked = 1) => {
    const slots = Math.min(asked, count)
    await new Promise<void>((go) => {
      waiting.push({ slots, go })
      next()
    })
    try {
      return await task()
    } finally {
      free += slots
      next()
    }
  }
}

const slotsMax = Math.min(4, availableParallelism())

/** The steps that move data, in this worker process. One of them keeps a core busy and holds some 50 MiB, so more of them at once would
 * only take memory: the host hands out activities by number, whatever they hold. Lanes and disks beyond it wait here, or on another
 * instance. */
export const transferSlots: Slots = (task, slots) => inSlots(() => leanly(task), slots)

/** A step that takes seconds and waits for no slot: it begins with a lean heap, as those in slots do. */
export const leanly = <Result>(task: () => Promise<Result>): Promise<Result> => {
  leanHeap()
  return task()
}

const inSlots = createSlots(slotsMax)

/** Slots of a restore: it holds twice as much as a backup, and all restores share one thread, so that two at a time keep it busy. */
export const slotsOfRestore = Math.ceil(slotsMax / 2)
