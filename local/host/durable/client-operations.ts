import { randomUUID } from 'node:crypto'
import {
  eventRaised,
  executionResumed,
  executionSuspended,
  executionTerminated,
  type HistoryEvent,
} from './history-event.ts'
import { replaceInstance } from './replace-instance.ts'
import { type InstanceFilter, type InstanceRow, type InstanceStatus, isLive, type Store } from './store.ts'

/** What clients may do to instances. Each is one transaction; what comes of it happens in the instance's next turn. */
export interface ClientOperations {
  /** @param inputJson JSON text or null
   * @param sourceInstanceId the instance that this one repeats under a new id
   * @returns the id, or the status of the live instance that already has it */
  start(name: string, instanceId: string | undefined, inputJson: string | null, sourceInstanceId?: string): Started
  /** @param inputJson JSON text */
  raiseEvent(instanceId: string, eventName: string, inputJson: string): Told
  terminate(instanceId: string, reason: string | null): Told
  suspend(instanceId: string, reason: string | null): Told
  resume(instanceId: string, reason: string | null): Told
  /** @returns false if there is no such instance; the row if it is live, and stays */
  purge(instanceId: string): boolean | InstanceRow
  /** Purges what the filter finds and is not live.
   * @returns how many */
  purgeAll(filter: InstanceFilter): number
}

export type Started =
  | { readonly kind: 'started'; readonly instanceId: string }
  | { readonly kind: 'conflict'; readonly status: InstanceStatus }

/** `wrongState`: suspend of a suspended, resume of a running one. */
export type Told =
  | { readonly kind: 'told' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'wrongState'; readonly status: InstanceStatus }

const purgePageRows = 500

export function createClientOperations(
  store: Store,
  notice: (instanceId: string, dueMs: number) => void,
  forget: (executionId: string) => void,
): ClientOperations {
  const tell = (instanceId: string, allowed: (row: InstanceRow) => boolean, event: () => HistoryEvent): Told => {
    const dueMs = Date.now()
    const told = store.transaction((): Told => {
      const row = store.instance(instanceId)
      if (!row) return { kind: 'unknown' }
      if (!isLive(row.status)) return { kind: 'gone' }
      if (!allowed(row)) return { kind: 'wrongState', status: row.status }
      store.putMessage({ instanceId, executionId: null, timerId: null, dueMs, event: JSON.stringify(event()) })
      return { kind: 'told' }
    })
    if (told.kind === 'told') notice(instanceId, dueMs)
    return told
  }
  const now = () => new Date().toISOString()
  return {
    start: (name, instanceId, input, sourceInstanceId) =>
      start(store, notice, forget, { name, instanceId, input, sourceInstanceId }),
    raiseEvent: (instanceId, eventName, inputJson) =>
      tell(instanceId, anyState, () => eventRaised(now(), eventName, inputJson)),
    terminate: (instanceId, reason) => tell(instanceId, anyState, () => executionTerminated(now(), reason)),
    suspend: (instanceId, reason) =>
      tell(
        instanceId,
        (row) => row.status !== 'Suspended',
        () => executionSuspended(now(), reason),
      ),
    resume: (instanceId, reason) =>
      tell(
        instanceId,
        (row) => row.status === 'Suspended',
        () => executionResumed(now(), reason),
      ),
    purge: (instanceId) => {
      const row = store.instance(instanceId)
      if (!row) return false
      if (isLive(row.status)) return row
      store.transaction(() => purgeRow(store, forget, row))
      return true
    },
    purgeAll: (filter) => purgeAll(store, forget, filter),
  }
}

const anyState = (): boolean => true

function start(
  store: Store,
  notice: (instanceId: string, dueMs: number) => void,
  forget: (executionId: string) => void,
  wanted: {
    readonly name: string
    readonly instanceId: string | undefined
    readonly input: string | null
    readonly sourceInstanceId: string | undefined
  },
): Started {
  const instanceId = wanted.instanceId ?? randomUUID().replaceAll('-', '')
  const started = store.transaction((): Started => {
    const old = store.instance(instanceId)
    if (old && isLive(old.status)) return { kind: 'conflict', status: old.status }
    if (old) forget(old.execution_id)
    const generation = old ? (old.generation ?? 0) + 1 : 0
    replaceInstance(store, { ...wanted, instanceId, executionId: randomUUID(), parent: null, generation })
    return { kind: 'started', instanceId }
  })
  if (started.kind === 'started') notice(instanceId, Date.now())
  return started
}

function purgeRow(store: Store, forget: (executionId: string) => void, row: InstanceRow): void {
  store.deleteHistory(row.execution_id)
  store.deleteMessages(row.instance_id)
  store.deleteInstance(row.instance_id)
  forget(row.execution_id)
}

function purgeAll(store: Store, forget: (executionId: string) => void, filter: InstanceFilter): number {
  let count = 0
  let fromId: string | undefined
  for (;;) {
    const rows = store.listInstances({ ...filter, ...(fromId === undefined ? {} : { fromId }) }, purgePageRows + 1)
    const page = rows.slice(0, purgePageRows).filter((row) => !isLive(row.status))
    store.transaction(() => {
      for (const row of page) purgeRow(store, forget, row)
    })
    count += page.length
    fromId = rows[purgePageRows]?.instance_id
    if (fromId === undefined) return count
  }
}
