import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Committed heap and memory outside of it that is not looked at before the first time: the app itself takes some 45 MiB. */
const bytesAtFirst = 56 * 1024 * 1024
/** The same from then on: a slice in this thread takes 45 MiB more that are no garbage. */
const bytesLater = 96 * 1024 * 1024
/** A step that moves data alone may find so much more: a second one takes as much, its thread included. */
const bytesAlone = 64 * 1024 * 1024
/** Collected again when it has grown by so much since the last time. */
const growth = 1.25

/** Has the heap of this thread collected, all of it and at once, when it has grown by a quarter since the last time; cheap to ask otherwise.
 * V8 alone is in no hurry while a machine has memory: loading the app leaves a young generation of 64 MiB behind, and garbage of some
 * hundred MiB is kept rather than looked for. Threads that move slices have a limit of their own; the thread that the host started has
 * none that an app could set. Takes 0.1 s of CPU, so it is for the app's start and the beginning of steps that may take seconds. Where one step
 * moves data alone the young generation may stay: it is as large again after any small change. */
export const createLeanHeap = ({ collect, heldBytes }: Heap): LeanHeap => {
  let bytesMax = bytesAtFirst
  return (isAlone) => {
    if (heldBytes() < bytesMax + (isAlone ? bytesAlone : 0)) return
    collect()
    bytesMax = Math.max(bytesLater, heldBytes() * growth)
  }
}

/** @param isAlone no other step moves data in this process, and what begins takes no more than a slice */
export type LeanHeap = (isAlone: boolean) => void

interface Heap {
  readonly collect: () => void
  /** Committed heap and what lies outside of it for its objects. */
  readonly heldBytes: () => number
}

type Collector = (how: { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' }) => void

/** Null where the engine does not hand it out. The flag is documented for the command line; it is set for this one question. */
const findCollector = (): Collector | null => {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc')
  return typeof found === 'function' ? (found as Collector) : null
}

let collector: Collector | null | undefined

/** The heap of this thread; `last-resort` also gives back the young generation. */
export const realHeap: Heap = {
  collect: () => {
    if (collector === undefined) collector = findCollector()
    collector?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  },
  heldBytes: () => {
    const { total_heap_size, external_memory } = getHeapStatistics()
    return total_heap_size + external_memory
  },
}

/** For the thread that the host started. */
export const leanHeap = createLeanHeap(realHeap)
