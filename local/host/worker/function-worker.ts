import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../error-text.ts'
import type { FunctionWorker } from '../invocation.ts'
import { createInvocations, type InvocationOptions, type Invocations } from './invocations.ts'
import type { RegisteredFunction } from './messages.ts'
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts'

export interface FunctionWorkerOptions extends InvocationOptions {
  /** Absolute; its package.json names what is loaded. */
  readonly appFolder: string
  /** The whole environment of the worker process. */
  readonly environment: NodeJS.ProcessEnv
  /** Called once, when the worker has failed to start so often that the host should end. */
  readonly onGivenUp: (reason: Error) => void
}

/** A worker that is looked after: a process that dies is replaced, and invocations wait for the next one. */
export interface RunningWorker extends FunctionWorker {
  readonly functions: readonly RegisteredFunction[]
  /** Of the newest process; null once it has ended. */
  readonly pid: number | null
  /** Runs the app-terminate hooks and ends the process; what still runs then ends as `workerDied`. Idempotent. */
  stop(): Promise<void>
}

/** Delays before the 1st, 2nd, … start in a row that did not last: a crash now and then costs nothing. */
const restartDelaysMilliseconds = [0, 250, 500, 1000, 2000, 5000, 10_000]
/** A process that has served this long counts as one that lasted. */
const lastsAfterMilliseconds = 30_000
/** Failed loads in a row after which the host gives up. */
const failedLoadsMax = 5
/** How long app-terminate hooks may take. */
const stopGraceMilliseconds = 5000

interface State extends FunctionWorkerOptions {
  readonly invocations: Invocations
  readonly stopping: AbortController
  current: WorkerProcess | null
}

const start = (state: State): WorkerProcess => {
  const worker = startWorkerProcess({
    appFolder: state.appFolder,
    environment: state.environment,
    onLog: state.onLog,
    onStarted: state.invocations.started,
    onFinished: ({ invocationId, result }) => state.invocations.finished(invocationId, result),
  })
  state.current = worker
  void worker.exited.then(() => {
    if (state.current === worker) state.current = null
  })
  return worker
}

const logError = (state: State, message: string): void =>
  state.onLog({ level: 'error', category: 'Host.Worker', message })

/** Serves with one process until it ends. @returns whether it had loaded the app */
const serveUntilExit = async (state: State, worker: WorkerProcess): Promise<boolean> => {
  let loaded = false
  try {
    await worker.loaded
    loaded = true
    state.invocations.servedBy(worker)
  } catch (error) {
    logError(state, `The worker could not start: ${messageOf(error)}`)
  }
  const exitCode = await worker.exited
  const lost = state.invocations.lost(exitCode)
  const isStopping = state.stopping.signal.aborted
  if (loaded && !isStopping)
    logError(state, `The worker process ended (exit code ${exitCode}); it ran ${lost} functions.`)
  return loaded
}

const keepServing = async (state: State, first: WorkerProcess): Promise<void> => {
  const { signal } = state.stopping
  let [restarts, failedLoads, worker] = [0, 0, first]
  while (!signal.aborted) {
    const startedAt = performance.now()
    failedLoads = (await serveUntilExit(state, worker)) ? 0 : failedLoads + 1
    if (signal.aborted) return
    if (failedLoads === failedLoadsMax) {
      state.invocations.close()
      state.onGivenUp(new Error(`The worker failed to start ${failedLoads} times in a row.`))
      return
    }
    if (performance.now() - startedAt > lastsAfterMilliseconds) restarts = 0
    const delay = restartDelaysMilliseconds[Math.min(restarts, restartDelaysMilliseconds.length - 1)]
    restarts += 1
    await sleep(delay, undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) worker = start(state)
  }
}

const stop = async (state: State, served: Promise<void>): Promise<void> => {
  state.stopping.abort()
  state.invocations.close()
  const worker = state.current
  worker?.send({ kind: 'terminate' })
  const grace = setTimeout(() => worker?.kill(), stopGraceMilliseconds)
  await worker?.exited
  clearTimeout(grace)
  await served
}

/**
 * Starts a worker process for the app and keeps one running.
 * @returns once the app is loaded; rejects with the app's own error where it cannot be loaded the first time
 */
export const startFunctionWorker = async (options: FunctionWorkerOptions): Promise<RunningWorker> => {
  const invocations = createInvocations(options)
  const state: State = { ...options, invocations, stopping: new AbortController(), current: null }
  const first = start(state)
  const functions = await first.loaded
  const served = keepServing(state, first)
  return {
    functions,
    get pid() {
      return state.current?.pid ?? null
    },
    invoke: invocations.invoke,
    stop: () => stop(state, served),
  }
}
