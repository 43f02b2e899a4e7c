import { createSlots, type Slots } from '../../../functions/transfer-slots.ts'
import type { InvocationRequest, InvocationResult } from '../../../local/host/invocation.ts'
import type { App } from './app.ts'
import type { Scope } from './scope.ts'
import type { Watch } from './watch.ts'

/** One worker process: when it is over, its calls neither take effect nor answer, and its invocations end as died. */
export interface Life {
  readonly isOver: boolean
  /** Invocations that have not ended. */
  readonly running: number
  invoke(request: InvocationRequest, scope: Scope): Promise<InvocationResult>
  readonly watch: Watch
  readonly slots: Slots
  end(): void
}

const forEver = <T>(): Promise<T> => new Promise<T>(() => undefined)

export const startLife = (app: App): Life => {
  let isOver = false
  const pending = new Set<(result: InvocationResult) => void>()
  const watch: Watch = async (_call, act) => {
    if (isOver) return forEver()
    try {
      const answer = await act()
      return isOver ? forEver() : answer
    } catch (error) {
      if (isOver) return forEver()
      throw error
    }
  }
  return {
    get isOver() {
      return isOver
    },
    get running() {
      return pending.size
    },
    watch,
    slots: createSlots(2),
    invoke: (request, scope) =>
      new Promise((resolve) => {
        if (isOver) return resolve({ kind: 'workerDied', exitCode: 137 })
        pending.add(resolve)
        void app.invoke(request, scope).then((result) => {
          if (pending.delete(resolve)) resolve(result)
        })
      }),
    end: () => {
      isOver = true
      for (const resolve of pending) resolve({ kind: 'workerDied', exitCode: 137 })
      pending.clear()
    },
  }
}
