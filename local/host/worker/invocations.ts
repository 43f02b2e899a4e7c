import type { InvocationRequest, InvocationResult } from '../invocation.ts'
import type { LogSink } from '../log.ts'
import { type FaultSwitch, faultTrigger } from './fault-switch.ts'
import type { WorkerProcess } from './worker-process.ts'

export interface InvocationOptions {
  /** After this long an invocation is ended together with its process; null: never. */
  readonly functionTimeoutSeconds: number | null
  readonly fault: FaultSwitch | null
  readonly onLog: LogSink
}

/** All invocations of an app: those that its worker process runs, and those that wait for one. */
export interface Invocations {
  invoke(request: InvocationRequest): Promise<InvocationResult>
  /** A process that has loaded the app: it gets what waits, and what comes from now on. */
  servedBy(worker: WorkerProcess): void
  /** The process reports that it is about to run an invocation. */
  started(invocationId: string): void
  finished(invocationId: string, result: InvocationResult): void
  /** The process is gone, and with it what it ran. @returns how many invocations that were */
  lost(exitCode: number): number
  /** The host ends, and there will be no further process. What waits, and what still comes, is left without an answer:
   * any answer would be a verdict on work that was never begun, which the next host is to begin instead. */
  close(): void
}

interface Pending {
  readonly request: InvocationRequest
  readonly resolve: (result: InvocationResult) => void
  worker: WorkerProcess | undefined
  timeout: NodeJS.Timeout | undefined
  /** A fault has chosen this invocation: no answer of it counts. */
  struck: boolean
}

interface State extends InvocationOptions {
  readonly running: Map<string, Pending>
  readonly waiting: Pending[]
  readonly strikes: (functionName: string) => boolean
  serving: WorkerProcess | null
  closed: boolean
}

const settle = (state: State, invocationId: string, result: InvocationResult): void => {
  const pending = state.running.get(invocationId)
  if (pending === undefined) return
  clearTimeout(pending.timeout)
  state.running.delete(invocationId)
  pending.resolve(result)
}

/** Ends a process at once. What comes from now on waits for the next one, not for the end of this one. */
const end = (state: State, worker: WorkerProcess): void => {
  if (state.serving === worker) state.serving = null
  worker.kill()
}

const timeOut = (state: State, { request }: Pending, worker: WorkerProcess, seconds: number): void => {
  const { functionName, invocationId } = request
  const message = `Timeout value of ${seconds} s exceeded by function '${functionName}'. The worker process is ended.`
  state.onLog({ level: 'error', category: 'Host.Worker', message, invocationId })
  settle(state, invocationId, { kind: 'timedOut', seconds })
  end(state, worker)
}

const deliver = (state: State, pending: Pending, worker: WorkerProcess): void => {
  const { request } = pending
  const seconds = state.functionTimeoutSeconds
  pending.worker = worker
  state.running.set(request.invocationId, pending)
  if (seconds !== null) pending.timeout = setTimeout(() => timeOut(state, pending, worker, seconds), seconds * 1000)
  worker.send({ kind: 'invoke', request })
}

const strike = (state: State, { worker }: Pending): void => {
  if (state.fault?.victim === 'host') process.kill(process.pid, 'SIGKILL')
  end(state, worker!)
}

const onStarted = (state: State, invocationId: string): void => {
  const pending = state.running.get(invocationId)
  if (pending === undefined || state.fault === null || !state.strikes(pending.request.functionName)) return
  pending.struck = true
  const { afterMilliseconds } = state.fault
  if (afterMilliseconds === 0) strike(state, pending)
  else setTimeout(() => strike(state, pending), afterMilliseconds).unref()
}

const onFinished = (state: State, invocationId: string, result: InvocationResult): void => {
  const pending = state.running.get(invocationId)
  // An answer of a struck invocation is lost, also where it is here before the kill has had its effect.
  if (pending?.struck === true) strike(state, pending)
  else settle(state, invocationId, result)
}

const onLost = (state: State, exitCode: number): number => {
  state.serving = null
  const lost = [...state.running.keys()]
  for (const invocationId of lost) settle(state, invocationId, { kind: 'workerDied', exitCode })
  return lost.length
}

const begin = (state: State, pending: Pending): void => {
  if (state.closed) return
  if (state.serving === null) state.waiting.push(pending)
  else deliver(state, pending, state.serving)
}

/** Invocations of an app that no process serves yet. */
export const createInvocations = (options: InvocationOptions): Invocations => {
  const strikes = faultTrigger(options.fault)
  const state: State = { ...options, running: new Map(), waiting: [], strikes, serving: null, closed: false }
  return {
    invoke: (request) =>
      new Promise((resolve) =>
        begin(state, { request, resolve, worker: undefined, timeout: undefined, struck: false }),
      ),
    servedBy: (worker) => {
      state.serving = worker
      for (const pending of state.waiting.splice(0)) deliver(state, pending, worker)
    },
    started: (invocationId) => onStarted(state, invocationId),
    finished: (invocationId, result) => onFinished(state, invocationId, result),
    lost: (exitCode) => onLost(state, exitCode),
    close: () => {
      state.closed = true
      state.waiting.length = 0
    },
  }
}
