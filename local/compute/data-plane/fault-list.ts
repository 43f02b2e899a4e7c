import type { Operation } from './counters.ts'

/** One thing that goes wrong on purpose. Exactly one of the effects should be set; `delayMs` may come with any. */
export interface Fault {
  /** Only for this operation; for all without it. */
  readonly operation?: Operation
  /** Lets so many matching requests pass first. */
  readonly afterRequests?: number
  /** Strikes so often, then is gone; once without it. */
  readonly times?: number
  readonly delayMs?: number
  /** Answers this status and code instead of doing anything. */
  readonly status?: number
  readonly code?: string
  readonly retryAfterSeconds?: number
  /** Sends so many bytes of the body and then closes the connection. */
  readonly cutBodyAtBytes?: number
  /** Closes the connection without an answer. */
  readonly dropConnection?: boolean
  /** Does the work, then closes the connection instead of answering: the caller cannot know. */
  readonly dropAfterEffect?: boolean
}

export interface FaultList {
  add(fault: Fault): void
  clear(): void
  /** The fault that strikes this request, spent by asking. */
  next(operation: Operation): Fault | null
}

/** Faults strike in the order they were added; the first that matches wins, but each counts the requests that it lets pass. */
export const createFaultList = (): FaultList => {
  let entries: { readonly fault: Fault; toPass: number; left: number }[] = []
  return {
    add(fault) {
      entries.push({ fault, toPass: fault.afterRequests ?? 0, left: fault.times ?? 1 })
    },
    clear() {
      entries = []
    },
    next(operation) {
      const matching = entries.filter(({ fault }) => fault.operation === undefined || fault.operation === operation)
      const striking = matching.find((entry) => entry.toPass === 0)
      for (const entry of matching) entry.toPass = Math.max(0, entry.toPass - 1)
      if (striking === undefined) return null
      striking.left -= 1
      if (striking.left === 0) entries = entries.filter((entry) => entry !== striking)
      return striking.fault
    },
  }
}
