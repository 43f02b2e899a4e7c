import { type ChildProcess, fork } from 'node:child_process'
import os from 'node:os'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { LogLevel, LogSink } from '../log.ts'
import type { HostMessage, RegisteredFunction, WorkerMessage } from './messages.ts'

/** One worker process, from fork to exit. */
export interface WorkerProcess {
  readonly pid: number
  /** Resolves once the app is loaded; rejects where loading fails or the process ends before. */
  readonly loaded: Promise<readonly RegisteredFunction[]>
  /** The exit code; for a process that a signal ended, 128 + the signal's number, as shells say it. */
  readonly exited: Promise<number>
  send(message: HostMessage): void
  kill(): void
}

export interface WorkerProcessOptions {
  readonly appFolder: string
  readonly environment: NodeJS.ProcessEnv
  readonly onLog: LogSink
  readonly onStarted: (invocationId: string) => void
  readonly onFinished: (message: WorkerMessage & { kind: 'finished' }) => void
}

/** App setting of the real host that gives the worker process arguments for Node. */
const nodeArgumentsSetting = 'languageWorkers__node__arguments'

/** An app that awaits for ever at load would otherwise leave its user without a word. */
const loadSecondsMax = 60

/** A process that shares the channel could keep it open after the worker's end. */
const channelEndMilliseconds = 1000

const childFile = fileURLToPath(new URL('child/main.ts', import.meta.url))

const logLines = (stream: Readable, levelOf: (line: string) => LogLevel, onLog: LogSink): void => {
  const lines = createInterface({ input: stream })
  lines.on('line', (message) => onLog({ level: levelOf(message), category: 'Host.Function.Console', message }))
}

/** What a process said before it ended may be read after its end is known: the channel's end is waited for too. */
const channelEnd = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (!child.connected) return resolve()
    const patience = setTimeout(resolve, channelEndMilliseconds)
    child.once('disconnect', () => {
      clearTimeout(patience)
      resolve()
    })
  })

const exitOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : os.constants.signals[signal])
      void channelEnd(child).then(() => resolve(exitCode))
    })
    // Where no process could be made there is no exit event; 127 is what shells answer then.
    child.once('error', () => {
      if (child.pid === undefined) resolve(127)
    })
  })

const loading = (child: ChildProcess, exited: Promise<number>): Promise<readonly RegisteredFunction[]> =>
  new Promise((resolve, reject) => {
    const patience = setTimeout(() => {
      reject(new Error(`The app has not finished loading after ${loadSecondsMax} s. Load is to register, and no more.`))
      child.kill('SIGKILL')
    }, loadSecondsMax * 1000)
    child.on('message', (message: WorkerMessage) => {
      if (message.kind === 'loaded') resolve(message.functions)
      else if (message.kind === 'loadFailed') reject(new Error(message.message))
      else return
      clearTimeout(patience)
    })
    void exited.then((code) => {
      clearTimeout(patience)
      reject(new Error(`The worker process ended (exit code ${code}) while loading the app.`))
    })
  })

/** Forks a worker and tells it to load the app. The process ends by itself when the host does. */
export const startWorkerProcess = (options: WorkerProcessOptions): WorkerProcess => {
  const { appFolder, environment, onLog } = options
  const child = fork(childFile, [], {
    cwd: appFolder,
    env: environment,
    execArgv: (environment[nodeArgumentsSetting] ?? '').split(/\s+/).filter((argument) => argument !== ''),
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  logLines(child.stdout!, () => 'information', onLog)
  // Node writes its own warnings there too; the real host looks at the text in the same way.
  logLines(child.stderr!, (line) => (/warn/i.test(line) ? 'warning' : 'error'), onLog)
  const exited = exitOf(child)
  const loaded = loading(child, exited)
  child.on('message', (message: WorkerMessage) => {
    if (message.kind === 'started') options.onStarted(message.invocationId)
    else if (message.kind === 'finished') options.onFinished(message)
    else if (message.kind === 'log') onLog(message.entry)
  })
  const send = (message: HostMessage): void => {
    // A channel that has closed means that the process is gone: `exited` tells, and says so to every invocation.
    if (child.connected) child.send(message, () => {})
  }
  send({ kind: 'load', appFolder })
  return { pid: child.pid ?? 0, loaded, exited, send, kill: () => child.kill('SIGKILL') }
}
