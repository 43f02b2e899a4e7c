/**
 * The second composition root: what a transfer thread runs. Functions cannot cross a thread, so it builds stores and sockets of its own from
 * plain settings, which come with each piece of work. It knows storage and the vault, and nothing of virtual machines or of the app.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type MessagePort, parentPort } from 'node:worker_threads'
import { keyRingOf } from '../format/data-key.ts'
import type { ObjectCreator } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import { type RestoreLane, restoreLane } from '../vault/restore-lane.ts'
import { type TransferSliceRequest, transferSlice } from '../vault/transfer-slice.ts'
import { createConnectionPool } from './http/connection-pool.ts'
import { createObjectStore } from './object-store.ts'
import { createSasDiskReader } from './sas-disk-reader.ts'
import { createSasDiskWriter } from './sas-disk-writer.ts'
import { createSasSockets } from './sas-request.ts'
import { storageAccountOf } from './storage-account.ts'
import {
  type Answer,
  carriedError,
  carryError,
  type FromThread,
  type LaneOrder,
  type Question,
  type SliceOrder,
  type ThreadOrder,
  type ToThread,
  type WorkResult,
} from './transfer-messages.ts'

/** Connections are kept from one piece of work to the next. */
const sockets = createSasSockets()
const storageConnections = createConnectionPool(8)

const clock: Clock = {
  now: () => new Date(),
  sleep: async (milliseconds, signal) => {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal })
  },
}

/** Time between two reports of progress; the eye needs no more. */
const progressEveryMs = 500

const work = async (order: ThreadOrder): Promise<void> => {
  const { channel } = order
  const tell = (message: FromThread) => channel.postMessage(message)
  const main = listen(channel)
  try {
    const result = order.kind === 'slice' ? await move(order, main, tell) : await restore(order, main)
    tell({ kind: 'done', result })
  } catch (error) {
    tell({ kind: 'failed', error: carryError(error) })
  } finally {
    channel.close()
  }
}

const storesOf = ({ storage }: ThreadOrder, main: Main) => {
  const account = storageAccountOf(storage.connection, async () => String(await main.ask({ of: 'token' })))
  return (container: string): ObjectCreator =>
    createObjectStore(account, container, storageConnections, storage.segmentTier)
}

const move = async (order: SliceOrder, main: Main, tell: (message: FromThread) => void): Promise<WorkResult> => {
  const { storage, sasUrl, request, isStoppable } = order
  const reader = createSasDiskReader({ sasUrl, baseSasUrl: null, sockets })
  const storeOf = storesOf(order, main)
  const hooks = {
    onProgress: paced((progress) => tell({ kind: 'progress', progress })),
    signal: main.signal,
    ...(isStoppable ? { shouldStop: async () => (await main.ask({ of: 'shouldStop' })) === true } : {}),
  }
  try {
    const stores = { vault: storeOf(storage.vaultContainer), control: storeOf(storage.controlContainer) }
    return await transferSlice({ ...stores, clock, reader }, { ...request, ...hooks })
  } finally {
    reader.close()
  }
}

const restore = async (order: LaneOrder, main: Main): Promise<WorkResult> => {
  const { storage, sasUrl, lane, keys } = order
  const writer = createSasDiskWriter({ sasUrl, sizeBytes: lane.disk.sizeBytes, sockets })
  const nextPart: RestoreLane['nextPart'] = async (written) => {
    const part = await main.ask({ of: 'part', written })
    return typeof part === 'object' ? part : null
  }
  try {
    const vault = storesOf(order, main)(storage.vaultContainer)
    await restoreLane({ vault, writer, keys: keyRingOf(keys) }, { ...lane, nextPart, signal: main.signal })
    return null
  } finally {
    writer.close()
  }
}

const paced = (tell: NonNullable<TransferSliceRequest['onProgress']>): typeof tell => {
  let toldAtMs = Number.NEGATIVE_INFINITY
  return (progress) => {
    if (performance.now() - toldAtMs < progressEveryMs) return
    toldAtMs = performance.now()
    tell(progress)
  }
}

/** The thread that ordered the work. */
interface Main {
  readonly signal: AbortSignal
  ask(question: Question): Promise<Answer>
}

/** What the other side says: that it is over, and answers, those to one question in the order it was asked. */
const listen = (channel: MessagePort): Main => {
  const end = new AbortController()
  const waiting: Record<Question['of'], ((message: ToThread) => void)[]> = { shouldStop: [], token: [], part: [] }
  channel.on('message', (message: ToThread) => {
    if (message.kind === 'abort') end.abort()
    else waiting[message.to].shift()?.(message)
  })
  const ask = (question: Question) =>
    new Promise<Answer>((resolve, reject) => {
      waiting[question.of].push((message) => {
        if (message.kind === 'answer') resolve(message.value)
        else if (message.kind === 'unknown') reject(carriedError(message.error))
      })
      channel.postMessage({ kind: 'ask', question } satisfies FromThread)
    })
  return { signal: end.signal, ask }
}

parentPort?.on('message', (order: ThreadOrder) => void work(order))
