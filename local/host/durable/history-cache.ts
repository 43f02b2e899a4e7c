import { eventType, type HistoryEvent } from './history-event.ts'
import type { HistoryRow, Store } from './store.ts'

/** The history of one execution, ready for the next turn. */
export interface CachedHistory {
  /** For the replay: without inputs and results, which it does not need. */
  readonly events: HistoryEvent[]
  /** For the trigger: JSON texts as a later turn shows them, received ones as played. */
  readonly texts: string[]
  characters: number
}

export interface HistoryCache {
  /** From memory, or read once from the store. */
  get(executionId: string): CachedHistory
  /** After the rows were committed. */
  append(executionId: string, rows: readonly HistoryRow[]): void
  forget(executionId: string): void
}

/** Keeps the histories that were used last, up to `charactersMax` of JSON text in all, so that a turn reads only what is
 * new to it. One that was pushed out is read again: the store is what counts. */
export function createHistoryCache(store: Store, charactersMax = 64 * 1024 * 1024): HistoryCache {
  const entries = new Map<string, CachedHistory>()
  let characters = 0
  const forget = (executionId: string): void => {
    characters -= entries.get(executionId)?.characters ?? 0
    entries.delete(executionId)
  }
  const keep = (executionId: string, entry: CachedHistory): void => {
    entries.set(executionId, entry)
    characters += entry.characters
    for (const oldest of entries.keys()) {
      if (characters <= charactersMax || oldest === executionId) break
      forget(oldest)
    }
  }
  return {
    get(executionId) {
      const found = entries.get(executionId) ?? add(emptyHistory(), store.history(executionId))
      forget(executionId)
      keep(executionId, found)
      return found
    },
    append(executionId, rows) {
      const found = entries.get(executionId)
      if (!found) return
      forget(executionId)
      keep(executionId, add(found, rows))
    },
    forget,
  }
}

const emptyHistory = (): CachedHistory => ({ events: [], texts: [], characters: 0 })

function add(history: CachedHistory, rows: readonly HistoryRow[]): CachedHistory {
  for (const row of rows) {
    history.events.push(withoutPayload(JSON.parse(row.event)))
    history.texts.push(row.received ? asPlayed(row.event) : row.event)
    history.characters += row.event.length
  }
  return history
}

/** Cuts an event down to what a replay looks at. */
export function withoutPayload(event: HistoryEvent): HistoryEvent {
  const { Result, Details, Input, ...rest } = event
  return event.EventType === eventType.executionTerminated ? { ...rest, Input } : rest
}

/** The field stands near the end of every event, and no JSON string can hold it unescaped. */
function asPlayed(text: string): string {
  const at = text.lastIndexOf('"IsPlayed":false')
  return `${text.slice(0, at)}"IsPlayed":true${text.slice(at + '"IsPlayed":false'.length)}`
}
