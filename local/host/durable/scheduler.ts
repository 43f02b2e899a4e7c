import type { MessageRow, Store } from './store.ts'

/** Chooses which due messages a turn takes. Without one, a turn takes all of them. */
export interface TurnGate {
  /** @returns the messages to take, in order; empty to wait until `subscribe`'s listener is called or more messages come */
  admit(instanceId: string, due: readonly MessageRow[]): readonly MessageRow[]
  subscribe(wake: () => void): void
}

export interface Scheduler {
  /** Messages of this instance are due then, or are due already. */
  notice(instanceId: string, dueMs: number): void
  /** Finds what was left by an earlier process. */
  start(): void
  /** No turn runs and none could run now. */
  isIdle(): boolean
  /** Begins no more turns; resolves when the running ones have ended. */
  stop(): Promise<void>
}

/** setTimeout takes 31 bits of milliseconds; a later due time is looked at again then. */
const timeoutMsMax = 2 ** 31 - 1
const retryAfterErrorMs = 1000

/**
 * Starts turns: never two of one instance at once, at most `concurrencyMax` in all. It is woken by notices and by one timer
 * for the next due message; it never goes through instances that have nothing to do.
 */
export function createScheduler(options: {
  readonly store: Store
  readonly concurrencyMax: number
  readonly runTurn: (messages: readonly MessageRow[]) => Promise<void>
  readonly onIdle: () => void
  readonly onError: (instanceId: string, error: unknown) => void
  readonly gate?: TurnGate | undefined
}): Scheduler {
  const { store, gate } = options
  const ready = new Set<string>()
  const running = new Map<string, Promise<void>>()
  const held = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let timerDueMs = Number.POSITIVE_INFINITY
  /** Whose messages were due by then has been noticed, by `notice` or by the timer. */
  let noticedUntilMs = -1
  let stopped = false

  const begin = (instanceId: string): void => {
    const due = store.dueMessages(instanceId, Date.now())
    const admitted = gate ? gate.admit(instanceId, due) : due
    if (due.length > 0 && admitted.length === 0) held.add(instanceId)
    if (admitted.length === 0) return
    const turn = options.runTurn(admitted).then(
      () => noticeRest(instanceId),
      (error) => retryLater(instanceId, error),
    )
    running.set(
      instanceId,
      turn.finally(() => ended(instanceId)),
    )
  }
  const ended = (instanceId: string): void => {
    running.delete(instanceId)
    pump()
  }
  const noticeRest = (instanceId: string): void => {
    if (!stopped && store.dueMessages(instanceId, Date.now()).length > 0) ready.add(instanceId)
  }
  const retryLater = (instanceId: string, error: unknown): void => {
    if (stopped) return
    options.onError(instanceId, error)
    setTimeout(() => notice(instanceId, 0), retryAfterErrorMs).unref()
  }
  const pump = (): void => {
    for (const instanceId of ready) {
      if (stopped || running.size >= options.concurrencyMax) return
      if (running.has(instanceId)) continue
      ready.delete(instanceId)
      begin(instanceId)
    }
    if (running.size === 0) options.onIdle()
  }
  const arm = (dueMs: number | undefined): void => {
    if (stopped || dueMs === undefined || dueMs >= timerDueMs) return
    clearTimeout(timer)
    timerDueMs = dueMs
    timer = setTimeout(onTimer, Math.min(Math.max(dueMs - Date.now(), 0), timeoutMsMax))
  }
  const onTimer = (): void => {
    timerDueMs = Number.POSITIVE_INFINITY
    const nowMs = Date.now()
    // Of what waits only because all places are taken, there may be as much as there are instances.
    for (const instanceId of store.instancesWithDueMessages(noticedUntilMs, nowMs)) ready.add(instanceId)
    noticedUntilMs = nowMs
    pump()
    arm(store.nextDueMs(nowMs))
  }
  const notice = (instanceId: string, dueMs: number): void => {
    if (stopped) return
    if (dueMs > Date.now()) {
      // Not later than the last look, unless the clock was put back since.
      noticedUntilMs = Math.min(noticedUntilMs, dueMs - 1)
      arm(dueMs)
      return
    }
    ready.add(instanceId)
    // Later, so that what comes in at the same moment goes into the same turn.
    setImmediate(pump)
  }
  gate?.subscribe(() => {
    for (const instanceId of held) ready.add(instanceId)
    held.clear()
    pump()
  })
  return {
    notice,
    start: onTimer,
    isIdle: () => running.size === 0 && ready.size === 0 && store.instancesWithDueMessages(-1, Date.now()).length === 0,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await Promise.all(running.values())
    },
  }
}
