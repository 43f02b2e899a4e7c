import type { TurnGate } from '../../../../local/host/durable/scheduler.ts'
import type { MessageRow } from '../../../../local/host/durable/store.ts'
import { messageKey } from './message-key.ts'

/** Holds every turn back until it is released with the messages that the recorded turn had, so that a run takes the same
 * turns in the same order as the recording, however it races. */
export interface RecordedGate extends TurnGate {
  /** Lets one turn of the instance begin as soon as all messages are there. */
  release(instanceId: string, keys: readonly string[]): void
  /** Of the last release: not yet begun. */
  isHeld(instanceId: string): boolean
  /** What is due for the instance, as far as it was asked. */
  seen(instanceId: string): readonly string[]
}

export function createRecordedGate(): RecordedGate {
  const released = new Map<string, readonly string[]>()
  const seen = new Map<string, readonly string[]>()
  let wake = () => {}
  return {
    subscribe(listener) {
      wake = listener
    },
    admit(instanceId, due) {
      seen.set(
        instanceId,
        due.map((message) => messageKey(message.event)),
      )
      const keys = released.get(instanceId)
      const chosen = keys && choose(keys, due)
      if (!chosen) return []
      released.delete(instanceId)
      return chosen
    },
    release(instanceId, keys) {
      released.set(instanceId, keys)
      wake()
    },
    isHeld: (instanceId) => released.has(instanceId),
    seen: (instanceId) => seen.get(instanceId) ?? [],
  }
}

/** @returns undefined unless there is a message for each key */
function choose(keys: readonly string[], due: readonly MessageRow[]): MessageRow[] | undefined {
  const rest = [...due]
  const chosen: MessageRow[] = []
  for (const key of keys) {
    const at = rest.findIndex((message) => messageKey(message.event) === key)
    if (at < 0) return undefined
    chosen.push(...rest.splice(at, 1))
  }
  return chosen
}
