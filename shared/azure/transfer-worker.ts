/**
 * The second composition root: what a transfer thread runs. Functions cannot cross a thread, so it builds stores and sockets of its own from
 * plain settings, which come with each slice. It knows storage and the vault, and nothing of virtual machines or of the app.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type MessagePort, parentPort } from 'node:worker_threads'
import type { Clock } from '../ports/clock.ts'
import { type TransferSliceRequest, transferSlice } from '../vault/transfer-slice.ts'
import { createConnectionPool } from './http/connection-pool.ts'
import { createObjectStore } from './object-store.ts'
import { createSasDiskReader } from './sas-disk-reader.ts'
import { createSasSockets } from './sas-request.ts'
import { storageAccountOf } from './storage-account.ts'
import {
  carriedError,
  carryError,
  type FromThread,
  type Question,
  type SliceOrder,
  type ToThread,
} from './transfer-messages.ts'

/** Connections are kept from slice to slice. */
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

const move = async ({ storage, sasUrl, request, isStoppable, channel }: SliceOrder): Promise<void> => {
  const tell = (message: FromThread) => channel.postMessage(message)
  const main = listen(channel)
  const reader = createSasDiskReader({ sasUrl, baseSasUrl: null, sockets })
  const account = storageAccountOf(storage.connection, async () => String(await main.ask('token')))
  const storeOf = (container: string) => createObjectStore(account, container, storageConnections, storage.segmentTier)
  const hooks = {
    onProgress: paced((progress) => tell({ kind: 'progress', progress })),
    signal: main.signal,
    ...(isStoppable ? { shouldStop: async () => (await main.ask('shouldStop')) === true } : {}),
  }
  try {
    const stores = { vault: storeOf(storage.vaultContainer), control: storeOf(storage.controlContainer) }
    const transfer = await transferSlice({ ...stores, clock, reader }, { ...request, ...hooks })
    tell({ kind: 'moved', transfer })
  } catch (error) {
    tell({ kind: 'failed', error: carryError(error) })
  } finally {
    reader.close()
    channel.close()
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

/** What the other side says: that it is over, and answers, those to one question in the order it was asked. */
const listen = (channel: MessagePort) => {
  const end = new AbortController()
  const waiting: Record<Question, ((message: ToThread) => void)[]> = { shouldStop: [], token: [] }
  channel.on('message', (message: ToThread) => {
    if (message.kind === 'abort') end.abort()
    else waiting[message.to].shift()?.(message)
  })
  const ask = (question: Question) =>
    new Promise<string | boolean>((resolve, reject) => {
      waiting[question].push((message) => {
        if (message.kind === 'answer') resolve(message.value)
        else if (message.kind === 'unknown') reject(carriedError(message.error))
      })
      channel.postMessage({ kind: 'ask', question } satisfies FromThread)
    })
  return { signal: end.signal, ask }
}

parentPort?.on('message', (order: SliceOrder) => void move(order))
