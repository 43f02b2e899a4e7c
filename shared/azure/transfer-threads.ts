import { availableParallelism } from 'node:os'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import type { StorageSettings } from '../config.ts'
import type { SliceTransfer, TransferSliceRequest } from '../vault/transfer-slice.ts'
import type { TokenSource } from './storage-account.ts'
import {
  carriedError,
  carryError,
  type FromThread,
  type PlainRequest,
  type Question,
  type SliceOrder,
  type ToThread,
} from './transfer-messages.ts'

/** More threads than this would only wait for one storage account. */
const threadsMax = 4
/** A thread that has nothing to do for so long is ended, and its memory given back. */
const idleMsMax = 30_000

/** A slice's bytes lie outside the heap; what is in it is a plan of 65,536 ranges and the index made of it. A small young generation is
 * collected more often and takes tens of MiB less. */
const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 }

/** Slices that are moved at the same time: one in the main thread, and one in a thread of its own for every further core. */
const transferThreadsMax = Math.min(threadsMax, availableParallelism())

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
  /** Ends the threads, and the slices in them. */
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
    // Each slice listens for itself; an error that nobody listens for would end the process.
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
  const moveThere = async (thread: Thread, sasUrl: string, request: TransferSliceRequest): Promise<SliceTransfer> => {
    thread.isBusy = true
    if (thread.idleTimer !== null) clearTimeout(thread.idleTimer)
    thread.worker.ref()
    try {
      return await moveIn(thread.worker, { ...of, sasUrl }, request)
    } finally {
      thread.isBusy = false
      thread.worker.unref()
      thread.idleTimer = setTimeout(() => void end(thread), idleMs).unref()
    }
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
    close: async () => {
      await Promise.all([...started].map(end))
    },
  }
}

/** The worker's module beside this one; the built one where this is built. */
const workerSource = new URL('./transfer-worker.ts', import.meta.url)
const workerUrl = import.meta.url.endsWith('.ts') ? workerSource : new URL(workerSource.href.replace(/ts$/, 'js'))

const moveIn = async (
  worker: Worker,
  { storage, sasUrl, tokens }: Pick<SliceOrder, 'sasUrl' | 'storage'> & { readonly tokens: TokenSource },
  request: TransferSliceRequest,
): Promise<SliceTransfer> => {
  const { signal, shouldStop, onProgress: _onProgress, ...plain } = request
  signal?.throwIfAborted()
  const { port1: channel, port2: far } = new MessageChannel()
  const abort = () => tell(channel, { kind: 'abort' })
  signal?.addEventListener('abort', abort, { once: true })
  const died = deathOf(worker)
  try {
    const ended = endOf(channel, request, tokens)
    const isStoppable = shouldStop !== undefined
    const order: SliceOrder = { storage, sasUrl, request: plain satisfies PlainRequest, isStoppable, channel: far }
    worker.postMessage(order, [far])
    return await Promise.race([ended, died.promise])
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    died.forget()
    channel.close()
  }
}

const tell = (channel: MessagePort, message: ToThread): void => channel.postMessage(message)

/** Answers what the thread asks until the slice has ended. */
const endOf = (
  channel: MessagePort,
  { shouldStop, onProgress }: Pick<TransferSliceRequest, 'onProgress' | 'shouldStop'>,
  tokens: TokenSource,
): Promise<SliceTransfer> =>
  new Promise((resolve, reject) => {
    const answer = (to: Question): void => {
      const found: Promise<string | boolean> = to === 'token' ? tokens() : Promise.resolve(shouldStop?.() ?? false)
      found.then(
        (value) => tell(channel, { kind: 'answer', to, value }),
        (error: unknown) => tell(channel, { kind: 'unknown', to, error: carryError(error) }),
      )
    }
    channel.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'progress':
          return onProgress?.(message.progress)
        case 'ask':
          return answer(message.question)
        case 'moved':
          return resolve(message.transfer)
        case 'failed':
          return reject(carriedError(message.error))
        default:
          return message satisfies never
      }
    })
  })

/** Rejects when the thread ends before its slice does: out of memory, or ended from outside. */
const deathOf = (worker: Worker) => {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => undefined)
  const failed = (error: unknown) => reject(new Error(`A transfer thread failed: ${codeOf(error)}.`))
  const exited = () => reject(new Error('A transfer thread ended before its slice did.'))
  worker.on('error', failed)
  worker.on('exit', exited)
  return {
    promise,
    forget: () => {
      worker.off('error', failed)
      worker.off('exit', exited)
    },
  }
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | null)?.code ?? 'unknown')
