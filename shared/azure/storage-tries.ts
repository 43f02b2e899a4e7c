import { setTimeout as sleep } from 'node:timers/promises'
import { type CallOptions, StorageError } from '../ports/blob-store.ts'
import { storageFaultOf } from './storage-faults.ts'

/** Enough for a short outage of one storage front end; what lasts longer is the caller's to repeat. */
const triesMax = 4
const pausesMs = [400, 1500, 5000]
/** A longer wait would sleep inside a running step; the caller gets it as `retryAfterSeconds` instead. */
const retryAfterSecondsMax = 10
/** A try may take this long plus its bytes at the slowest rate worth waiting for. */
const trySeconds = 30
const slowestBytesPerSecond = 512 * 1024

/** What one try is given. */
export interface Try {
  /** Fires when the caller aborts or the try has taken too long. */
  readonly abortSignal: AbortSignal
  /** Starts the try's time anew, now that it is known how many bytes it moves. */
  readonly allowFor: (bytes: number) => void
}

/** Runs a storage request up to four times. Each try has a time limit of its own: the SDK's `tryTimeoutInMs` only asks the service
 * to hurry and would wait for ever on a dead connection.
 * @param bytes that a try moves, as far as known
 * @throws StorageError when the tries are used up or the fault is not one that a try can cure; the signal's reason when aborted */
export const withTries = async <T>(
  name: string,
  bytes: number,
  options: CallOptions | undefined,
  attempt: (one: Try) => Promise<T>,
): Promise<T> => {
  const signal = options?.signal
  for (let number = 1; ; number++) {
    try {
      return await withinTime(bytes, signal, attempt)
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof StorageError) throw error
      const fault = storageFaultOf(name, error)
      const failure = new StorageError(fault, { cause: causeOf(error) })
      const asked = fault.code === 'throttled' ? (fault.retryAfterSeconds ?? 0) : 0
      if (!failure.isRetryable || number >= triesMax || asked > retryAfterSecondsMax) throw failure
      const pauseMs = Math.max(asked * 1000, (pausesMs[number - 1] ?? 0) * (0.75 + Math.random() / 2))
      await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted())
    }
  }
}

const withinTime = async <T>(
  bytes: number,
  signal: AbortSignal | undefined,
  attempt: (one: Try) => Promise<T>,
): Promise<T> => {
  signal?.throwIfAborted()
  const controller = new AbortController()
  const end = () => controller.abort()
  let timer = setTimeout(end, millisecondsFor(bytes))
  const allowFor = (moreBytes: number) => {
    clearTimeout(timer)
    timer = setTimeout(end, millisecondsFor(moreBytes))
  }
  signal?.addEventListener('abort', end, { once: true })
  try {
    return await attempt({ abortSignal: controller.signal, allowFor })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
}

const millisecondsFor = (bytes: number): number => (trySeconds + bytes / slowestBytesPerSecond) * 1000

/** The SDK's own error holds the request with its headers, so it is not kept; a code such as ECONNRESET says enough. */
const causeOf = (error: unknown): Error | undefined => {
  const code = (error as { code?: unknown }).code
  const isPlain = typeof code === 'string' && /^[A-Za-z0-9_-]{1,60}$/.test(code)
  return isPlain ? new Error(code) : undefined
}
