import assert from 'node:assert/strict'
import type { PlannedRead } from '../domain/read-plan.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import { giveBackMemory, takeMemory } from './kept-memory.ts'

/** A read that has arrived. `bytes` are good until the next one is asked for. */
export interface ArrivedRead {
  readonly read: PlannedRead
  readonly bytes: Buffer
}

/** What reads may hold in memory, and how many go on at a time. */
export interface ReadAheadLimits {
  /** At least the largest read. */
  readonly readAheadBytes: number
  readonly readsInFlightMax: number
  readonly signal: AbortSignal | undefined
}

interface Flight {
  readonly read: PlannedRead
  readonly bytes: Buffer
  readonly done: Promise<void>
}

/** Performs the reads in order of the plan with many in flight, in one ring of memory. The consumer's pace holds the producer back: a
 * read begins only when the ring has room. Ends all reads before it throws or returns. */
export async function* readAhead(
  reader: DiskReader,
  reads: Iterable<PlannedRead>,
  limits: ReadAheadLimits,
): AsyncGenerator<ArrivedRead> {
  const ring = createRing(limits.readAheadBytes)
  const end = new AbortController()
  const signal = limits.signal === undefined ? end.signal : AbortSignal.any([limits.signal, end.signal])
  const plan = reads[Symbol.iterator]()
  const flights: Flight[] = []
  let next = plan.next()
  const launch = (): void => {
    while (!next.done && flights.length < limits.readsInFlightMax) {
      const bytes = ring.take(next.value.lengthBytes)
      if (bytes === null) return
      const done = bytes.length === 0 ? Promise.resolve() : reader.readInto(bytes, next.value.offsetBytes, { signal })
      done.catch(() => undefined)
      flights.push({ read: next.value, bytes, done })
      next = plan.next()
    }
  }
  try {
    for (launch(); flights.length > 0; launch()) {
      const flight = flights[0] as Flight
      await flight.done
      yield flight
      flights.shift()
      ring.release(flight.bytes.length)
    }
    assert(next.done, 'every read of the plan fits into the memory for reads')
    ring.close()
  } finally {
    end.abort()
    await Promise.allSettled(flights.map((flight) => flight.done))
  }
}

/** Pieces are given back in the order they were taken, so no list of free places is needed. */
const createRing = (capacityBytes: number) => {
  const memory = takeMemory(capacityBytes)
  const taken: { readonly at: number; readonly lengthBytes: number }[] = []
  const place = (lengthBytes: number): number | null => {
    const first = taken[0]
    const last = taken.at(-1)
    if (first === undefined || last === undefined) return lengthBytes <= capacityBytes ? 0 : null
    const at = last.at + last.lengthBytes
    if (last.at < first.at) return at + lengthBytes <= first.at ? at : null
    if (at + lengthBytes <= capacityBytes) return at
    return lengthBytes <= first.at ? 0 : null
  }
  return {
    take: (lengthBytes: number): Buffer | null => {
      if (lengthBytes === 0) return memory.subarray(0, 0)
      const at = place(lengthBytes)
      if (at === null) return null
      taken.push({ at, lengthBytes })
      return memory.subarray(at, at + lengthBytes)
    },
    release: (lengthBytes: number): void => {
      if (lengthBytes > 0) taken.shift()
    },
    /** Only after every read has succeeded: a failed one may still be writing into the memory. */
    close: (): void => giveBackMemory(memory),
  }
}
