import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'
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
export const transferSlots: Slots = (task, slots) =>
  inSlots(async () => {
    leanHeap(moving === 0 && slots === undefined)
    moving += 1
    try {
      return await task()
    } finally {
      moving -= 1
    }
  }, slots)

/** A step that takes seconds and waits for no slot: it begins with a lean heap, as those in slots do. */
export const leanly = <Result>(task: () => Promise<Result>): Promise<Result> => {
  leanHeap(moving === 0)
  return task()
}

/** Slices that are moved two at a time take as much memory as there may be: what planning them left behind goes before. */
export const makeRoomForMany = (): void => leanHeap(false)

/** Steps that are in slots just now. */
let moving = 0

const inSlots = createSlots(slotsMax)

/** Slots of a comparison: it holds twice as much as a slice and stays in the host's thread, so that two at a time keep that busy. */
export const slotsOfComparison = Math.ceil(slotsMax / 2)

/** A restore uses every thread that is free, so it takes all slots: one at a time keeps all cores busy. It makes little garbage, so its heaps'
 * young generations stay as large as they are: V8 would let that of the host's thread grow by 20 MiB in a second, to look at it less often. */
export const restoreSlots: Slots = (task) =>
  transferSlots(async () => {
    growYoungGenerationsBy(1)
    try {
      return await task()
    } finally {
      growYoungGenerationsBy(growthDefault)
    }
  }, slotsMax)

/** V8's own. */
const growthDefault = 2

/** The flag is documented for the command line. */
const growYoungGenerationsBy = (factor: number): void => setFlagsFromString(`--semi-space-growth-factor=${factor}`)
