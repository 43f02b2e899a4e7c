import { AsyncLocalStorage } from 'node:async_hooks'
import type { Services } from '../../../functions/services.ts'
import type { Slots } from '../../../functions/transfer-slots.ts'

/** What one invocation works with: another world, or another life of the same one, than the next invocation's. */
export interface Scope {
  readonly services: Services
  /** Memory of the worker process, which is gone with it. */
  readonly slots: Slots
  readonly log: (line: string) => void
}

export const scopes = new AsyncLocalStorage<Scope>()
