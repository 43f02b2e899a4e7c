import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { DiskImageError } from '../disks/disk-store.ts'
import { ArmError } from './arm-error.ts'
import { type EmulatorContext, timestamp } from './emulator-context.ts'
import type { AcceptedRequest, OperationRunner, OperationStart } from './operation-runner.ts'
import type { JsonObject, OperationRecord } from './records.ts'

/** What a kind of long-running operation does. It may be started again from the beginning after a kill. */
export interface OperationAction {
  /** The part that takes time, mostly bytes. May run twice for one operation: the second run starts afresh. */
  work(context: EmulatorContext, operation: OperationRecord): Promise<JsonObject | undefined>
  /** Makes the result visible, in one transaction with the operation's end. Returns the operation's output, if it has one. */
  settle(context: EmulatorContext, operation: OperationRecord, result: JsonObject | undefined): JsonObject | undefined
  /** Takes back what was made visible when the operation was accepted. */
  undo(context: EmulatorContext, operation: OperationRecord): void
}

/** The runner of all operations; those of one resource run one after the other.
 * @param context is asked for late, since it holds this runner */
export const createOperationRunner = (
  context: () => EmulatorContext,
  actions: Readonly<Record<string, OperationAction>>,
): OperationRunner => {
  const stopping = new AbortController()
  const lastOf = new Map<string, Promise<void>>()
  const start = (operation: OperationRecord): void => {
    const before = lastOf.get(operation.resourceId) ?? Promise.resolve()
    const run = before
      .then(() => runOperation(context(), actionOf(actions, operation), operation, stopping.signal))
      .finally(() => {
        if (lastOf.get(operation.resourceId) === run) lastOf.delete(operation.resourceId)
      })
    lastOf.set(operation.resourceId, run)
  }
  return {
    begin: (request, wanted) => {
      const operation = newOperation(context(), request, wanted)
      context().state.putOperation(operation)
      // The work starts once the transaction of the caller has ended.
      setImmediate(() => {
        if (!stopping.signal.aborted) start(operation)
      })
      return operation
    },
    resume: () => context().state.operationsInProgress().forEach(start),
    stop: async () => {
      stopping.abort()
      await Promise.all(lastOf.values())
    },
  }
}

const actionOf = (actions: Readonly<Record<string, OperationAction>>, operation: OperationRecord): OperationAction => {
  const action = actions[operation.action]
  if (action === undefined) throw new Error(`no action is called ${operation.action}`)
  return action
}

const newOperation = (context: EmulatorContext, request: AcceptedRequest, wanted: OperationStart): OperationRecord => {
  const { operationMs, operationMsByName } = context.settings()
  return {
    ...wanted,
    id: randomUUID(),
    startTime: timestamp(context.nowMs()),
    durationMs: operationMsByName[request.operation] ?? operationMs,
    status: 'InProgress',
    ...(request.fault?.failOperation === undefined ? {} : { failWith: request.fault.failOperation }),
  }
}

/** Time counts from the acceptance, also across a restart. */
const remainingMs = (context: EmulatorContext, operation: OperationRecord): number =>
  operation.durationMs - Math.max(0, context.nowMs() - Date.parse(operation.startTime))

const runOperation = async (
  context: EmulatorContext,
  action: OperationAction,
  operation: OperationRecord,
  stop: AbortSignal,
): Promise<void> => {
  const end = (outcome: Pick<OperationRecord, 'status' | 'output' | 'error'>): void =>
    context.state.putOperation({ ...operation, ...outcome, endTime: timestamp(context.nowMs()) })
  const readyAtMs = performance.now() + remainingMs(context, operation)
  if (stop.aborted) return
  try {
    const result = operation.failWith === undefined ? await action.work(context, operation) : undefined
    await delay(Math.max(0, readyAtMs - performance.now()), undefined, { signal: stop })
    if (operation.failWith !== undefined) throw new ArmError({ status: 500, ...operation.failWith })
    context.state.transaction(() => {
      const output = action.settle(context, operation, result)
      end({ status: 'Succeeded', ...(output === undefined ? {} : { output }) })
    })
  } catch (error) {
    if (stop.aborted) return
    context.state.transaction(() => {
      action.undo(context, operation)
      end({ status: 'Failed', error: explained(error) })
    })
  }
}

/** Messages of unknown errors could name secrets or files; they go to the emulator's own log only. */
const explained = (error: unknown): { code: string; message: string } => {
  if (error instanceof ArmError) return { code: error.code, message: error.message }
  if (error instanceof DiskImageError) return { code: 'DiskImageUnusable', message: error.message }
  console.error('An operation failed inside the emulator:', error)
  return { code: 'InternalExecutionError', message: 'An internal execution error occurred.' }
}
