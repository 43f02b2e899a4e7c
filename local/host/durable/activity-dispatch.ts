import { randomUUID } from 'node:crypto'
import type { FunctionWorker, RpcValue } from '../invocation.ts'
import type { EngineEvent } from './engine-event.ts'
import { activityFailure } from './failure-text.ts'
import type { FunctionIndex } from './function-index.ts'
import { type HistoryEvent, taskCompleted, taskFailed } from './history-event.ts'
import { type ActivityRow, isLive, type Store } from './store.ts'
import { activityInvocation } from './trigger.ts'

export interface ActivityDispatcher {
  /** Runs an activity as soon as there is room: `concurrencyMax` at once, in order of arrival. */
  dispatch(activityId: number): void
  isIdle(): boolean
  /** Results that come in from now on are not kept: those runs are repeated after the next start. */
  stop(): void
}

/** Runs activities at least once each: a run is forgotten only in the transaction that keeps its result. */
export function createActivityDispatcher(options: {
  readonly store: Store
  readonly worker: FunctionWorker
  readonly functions: FunctionIndex
  readonly concurrencyMax: number
  readonly notice: (instanceId: string, dueMs: number) => void
  readonly onIdle: () => void
  readonly log: (event: EngineEvent) => void
}): ActivityDispatcher {
  const queue: number[] = []
  let running = 0
  let stopped = false
  const run = async (activityId: number): Promise<void> => {
    const row = options.store.activity(activityId)
    if (!row) return
    const event = await invokeActivity(options, row)
    if (!stopped) keepResult(options, row, event)
  }
  const pump = (): void => {
    while (!stopped && running < options.concurrencyMax && queue.length > 0) {
      running += 1
      void run(queue.shift() as number).finally(() => {
        running -= 1
        pump()
        if (running === 0) options.onIdle()
      })
    }
  }
  return {
    dispatch(activityId) {
      queue.push(activityId)
      pump()
    },
    isIdle: () => running === 0 && queue.length === 0,
    stop() {
      stopped = true
    },
  }
}

type Options = Parameters<typeof createActivityDispatcher>[0]

async function invokeActivity(options: Options, row: ActivityRow): Promise<HistoryEvent> {
  const found = options.functions.activity(row.name)
  const result = found
    ? await options.worker.invoke(activityInvocation(randomUUID(), found, row.instance_id, row.input))
    : ({ kind: 'failed', message: `Activity function '${row.name}' does not exist.`, stack: '' } as const)
  const at = new Date().toISOString()
  if (result.kind === 'succeeded') return taskCompleted(at, row.task_id, resultJson(result.returnValue))
  const failure = activityFailure(row.name, result)
  options.log({ kind: 'activityFailed', instanceId: row.instance_id, name: row.name, reason: failure.reason })
  return taskFailed(at, row.task_id, failure)
}

function keepResult(options: Options, row: ActivityRow, event: HistoryEvent): void {
  const dueMs = Date.now()
  const wanted = options.store.transaction(() => {
    options.store.deleteActivity(row.id)
    const instance = options.store.instance(row.instance_id)
    if (instance?.execution_id !== row.execution_id || !isLive(instance.status)) return false
    const { instance_id: instanceId, execution_id: executionId } = row
    options.store.putMessage({ instanceId, executionId, timerId: null, dueMs, event: JSON.stringify(event) })
    return true
  })
  if (wanted) options.notice(row.instance_id, dueMs)
}

/** A return value as the JSON text that history keeps: strings are quoted, bytes are base64, numbers that JSON has no
 * word for become strings. Source: recordings. */
function resultJson(value: RpcValue | null): string | null {
  if (value === null) return null
  if (value.json !== undefined) return value.json
  if (value.string !== undefined) return JSON.stringify(value.string)
  if (value.bytes !== undefined) return JSON.stringify(Buffer.from(value.bytes).toString('base64'))
  const number = value.int ?? value.double
  if (number === undefined) return null
  return Number.isFinite(Number(number)) ? String(number) : JSON.stringify(String(number))
}
