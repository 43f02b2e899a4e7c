import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { StorageSettings } from '../config.ts'
import type { DataKey } from '../format/data-key.ts'
import type { RestoreLane } from '../vault/restore-lane.ts'
import type { SliceTransfer, TransferSliceRequest } from '../vault/transfer-slice.ts'
import type { TokenSource } from './storage-account.ts'
import { type WorkHost, workIn } from './transfer-channel.ts'
import type { LaneOrder, PlainLane, PlainRequest, Question, SliceOrder, WorkResult } from './transfer-messages.ts'

/** More threads than this would only wait for one storage account. */
const threadsMax = 4
/** A thread that has nothing to do for so long is ended, and its memory given back. */
const idleMsMax = 30_000

/** A slice's bytes lie outside the heap; what is in it is a plan of 65,536 ranges and the index made of it. A small young generation is
 * collected more often and takes tens of MiB less. */
const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 }

/** Slices that are moved at the same time: one in the main thread, and one in a thread of its own for every further core. */
const transferThreadsMax = Math.min(threadsMax, availableParallelism())

/** Threads that do the work of transfers and restores; started when they are first needed, ended when they have been idle for a while. */
export interface TransferThreads {
  /** Moves one slice in the thread that is free: the caller's own comes first, as it costs no memory, then one that was started.
   * @param sasUrl secret
   * @param here moves it in the caller's own thread
   * @throws the errors of `transferSlice`, of their own classes; a thread that dies ends its slice with an error that another try may cure */
  move(
    sasUrl: string,
    request: TransferSliceRequest,
    here: (request: TransferSliceRequest) => Promise<SliceTransfer>,
  ): Promise<SliceTransfer>
  /** Has every thread that is free take parts of a disk's restore, besides what the caller's own does: none where none is free. Each promise
   * ends with its lane, which has then nothing in flight.
   * @param target both are secret: the URL of the disk to write, and the keys for frames that are encrypted
   * @throws nothing; the promises reject with the errors of `restoreLane`, as those of `move` do */
  restoreLanes(
    target: { readonly sasUrl: string; readonly keys: readonly DataKey[] },
    lane: RestoreLane,
  ): readonly Promise<void>[]
  /** Ends the threads, and the work in them. */
  close(): Promise<void>
}

interface Thread {
  readonly worker: Worker
  isBusy: boolean
  idleTimer: NodeJS.Timeout | null
}

/** Starts no thread before it is needed.
 * @param of settings of the stores, and tokens for them where they name an identity
 * @param threads besides the main one */
export const createTransferThreads = (
  of: { readonly storage: StorageSettings; readonly tokens: TokenSource },
  threads = transferThreadsMax - 1,
  idleMs = idleMsMax,
): TransferThreads => {
  const started = new Set<Thread>()
  let movedHere = 0
  const start = (): Thread => {
    const worker = new Worker(workerUrl, { name: 'transfer', resourceLimits })
    const thread: Thread = { worker, isBusy: false, idleTimer: null }
    started.add(thread)
    // Each piece of work listens for itself; an error that nobody listens for would end the process.
    thread.worker.on('error', () => started.delete(thread))
    thread.worker.once('exit', () => started.delete(thread))
    return thread
  }
  const free = (): Thread | null => {
    for (const thread of started) if (!thread.isBusy) return thread
    return started.size < threads ? start() : null
  }
  const end = async (thread: Thread): Promise<void> => {
    started.delete(thread)
    await thread.worker.terminate()
  }
  const workThere = async (
    thread: Thread,
    order: Omit<SliceOrder, 'channel' | 'storage'> | Omit<LaneOrder, 'channel' | 'storage'>,
    host: WorkHost,
  ): Promise<WorkResult> => {
    thread.isBusy = true
    if (thread.idleTimer !== null) clearTimeout(thread.idleTimer)
    thread.worker.ref()
    try {
      return await workIn(thread.worker, { ...order, storage: of.storage }, host)
    } finally {
      thread.isBusy = false
      thread.worker.unref()
      thread.idleTimer = setTimeout(() => void end(thread), idleMs).unref()
    }
  }
  const moveThere = async (thread: Thread, sasUrl: string, request: TransferSliceRequest): Promise<SliceTransfer> => {
    const { signal, shouldStop, onProgress, ...plain } = request
    const answer = async ({ of: asked }: Question) => (asked === 'token' ? of.tokens() : (shouldStop?.() ?? false))
    const host = { signal, answer, ...(onProgress === undefined ? {} : { onProgress }) }
    const isStoppable = shouldStop !== undefined
    const moved = await workThere(
      thread,
      { kind: 'slice', sasUrl, request: plain satisfies PlainRequest, isStoppable },
      host,
    )
    assert(moved !== null)
    return moved
  }
  return {
    move: async (sasUrl, request, here) => {
      const thread = movedHere === 0 ? null : free()
      if (thread !== null) return moveThere(thread, sasUrl, request)
      movedHere += 1
      try {
        return await here(request)
      } finally {
        movedHere -= 1
      }
    },
    restoreLanes: ({ sasUrl, keys }, { signal, nextPart, ...lane }) => {
      const answer = async (question: Question) => {
        if (question.of === 'part') return nextPart(question.written)
        return question.of === 'token' ? of.tokens() : false
      }
      const lanes: Promise<void>[] = []
      for (let thread = free(); thread !== null; thread = free()) {
        const order = { kind: 'lane', sasUrl, keys, lane: lane satisfies PlainLane } as const
        lanes.push(workThere(thread, order, { signal, answer }).then(() => undefined))
      }
      return lanes
    },
    close: async () => {
      await Promise.all([...started].map(end))
    },
  }
}

/** The worker's module beside this one; the built one where this is built. */
const workerSource = new URL('./transfer-worker.ts', import.meta.url)
const workerUrl = import.meta.url.endsWith('.ts') ? workerSource : new URL(workerSource.href.replace(/ts$/, 'js'))
