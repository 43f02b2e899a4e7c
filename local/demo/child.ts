import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface ChildOptions {
  /** As the user knows it: `the compute emulator`. */
  readonly name: string
  /** The file that Node runs. */
  readonly main: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** All that the process prints is appended there. */
  readonly logPath: string
  /** How long it may take to get ready; a minute where it is absent. */
  readonly readySecondsMax?: number
}

/** A process of ours that said that it is ready. */
export interface Child<Ready> {
  readonly name: string
  readonly pid: number
  readonly ready: Ready
  readonly logPath: string
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<ChildEnd>
  /** SIGTERM, and SIGKILL when that is not obeyed in time. Repeatable; resolves when the process is gone. */
  stop(): Promise<void>
  /** Ends the process at once, as a crash would. */
  kill(): Promise<void>
}

/** `asked`: by `stop` or `kill`. */
export interface ChildEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly asked: boolean
}

/** A cold start on a busy machine takes some seconds. */
const readySecondsDefault = 60
/** After that, a process that does not obey SIGTERM is killed. */
const stopSecondsMax = 20
const logLinesShown = 15

/** Starts a Node program that answers over IPC with `{ready: true, ...}` when it can be used, or `{error: text}`. It runs in a process group of
 * its own, so that Ctrl-C in a terminal reaches only the parent, which then stops its children in order; it ends by itself when the IPC
 * channel closes.
 * @throws when it does not get ready; the error shows the end of its log */
export const startChild = async <Ready>(options: ChildOptions): Promise<Child<Ready>> => {
  await mkdir(dirname(options.logPath), { recursive: true })
  const log = await open(options.logPath, 'a')
  const process_ = spawn(process.execPath, [options.main, ...options.args], {
    env: options.env,
    detached: true,
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
  })
  await log.close()
  let asked = false
  const ended = new Promise<ChildEnd>((resolve) => {
    process_.once('exit', (code, signal) => resolve({ code, signal, asked }))
    process_.once('error', () => resolve({ code: null, signal: null, asked }))
  })
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    asked = true
    if (process_.exitCode !== null || process_.signalCode !== null) return
    const killer = setTimeout(() => process_.kill('SIGKILL'), stopSecondsMax * 1000)
    process_.kill(signal)
    await ended
    clearTimeout(killer)
  }
  try {
    const ready = (await readyMessage(process_, ended, options.readySecondsMax ?? readySecondsDefault)) as Ready
    const { name, logPath } = options
    return {
      name,
      logPath,
      pid: process_.pid ?? 0,
      ready,
      ended,
      stop: () => end('SIGTERM'),
      kill: () => end('SIGKILL'),
    }
  } catch (error) {
    await end('SIGKILL')
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${capital(options.name)} ${reason}.\n${await tailOf(options.logPath)}`)
  }
}

/** The last lines of a log, indented, under its name. */
export const tailOf = async (logPath: string): Promise<string> => {
  const text = await readFile(logPath, 'utf8').catch(() => '')
  const lines = text.trimEnd().split('\n').slice(-logLinesShown)
  return [`The end of its log, ${logPath}:`, ...lines.map((line) => `  ${line}`)].join('\n')
}

const capital = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`

const readyMessage = (child: ChildProcess, ended: Promise<ChildEnd>, readySecondsMax: number): Promise<unknown> => {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const timer = setTimeout(() => reject(new Error(`was not ready within ${readySecondsMax} s`)), readySecondsMax * 1000)
  child.on('message', (message: unknown) => {
    if (typeof message !== 'object' || message === null) return
    if ('ready' in message) resolve(message)
    else if ('error' in message) reject(new Error(`says: ${String(message.error)}`))
  })
  void ended.then(({ code, signal }) => reject(new Error(`ended with ${signal ?? `code ${code}`} before it was ready`)))
  return promise.finally(() => clearTimeout(timer))
}
