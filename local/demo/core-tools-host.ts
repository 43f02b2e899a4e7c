import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

/**
 * Runs the app on Azure Functions Core Tools: `node local/demo/core-tools-host.ts --func <program> --app <folder> --port <port>`. Sends
 * `{ ready: true, port }` over IPC when the runtime says that it is running, or `{ error }`. Ends it on SIGINT, SIGTERM, and when the IPC
 * channel closes: `func` itself knows nothing of its parent. `func` may be a script that starts the real program, which starts the worker:
 * it is put into a process group of its own, and the whole group is ended.
 */

/** The first start fetches the extension bundle that host.json names. The parent waits a little longer. */
const readySecondsMax = 300
/** The runtime lets functions end first; the parent kills after 20 s. */
const stopSecondsMax = 15

const { values } = parseArgs({
  options: { func: { type: 'string' }, app: { type: 'string' }, port: { type: 'string' } },
})
const { func, app, port } = values
if (func === undefined || app === undefined || port === undefined)
  throw new Error('Usage: node local/demo/core-tools-host.ts --func <program> --app <folder> --port <port>')

const runtime = spawn(func, ['start', '--port', port], {
  cwd: app,
  detached: true,
  stdio: ['ignore', 'inherit', 'inherit'],
})
const ended = Promise.race([
  once(runtime, 'exit').then(([code, signal]) => `func has ended with ${signal ?? `code ${code}`}`),
  once(runtime, 'error').then(([error]) => `func could not be started: ${error}`),
])

/** GET /admin/host/status answers `{ state: 'Running' }`. Source: Azure Functions host, admin API. */
const isRunning = async (): Promise<boolean> => {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/admin/host/status`, { signal: AbortSignal.timeout(5000) })
    const body: unknown = await answer.json()
    return typeof body === 'object' && body !== null && 'state' in body && body.state === 'Running'
  } catch {
    return false
  }
}

const tellReady = async (): Promise<void> => {
  for (const endsAt = Date.now() + readySecondsMax * 1000; Date.now() < endsAt; await sleep(250)) {
    if (!(await isRunning())) continue
    process.send?.({ ready: true, port: Number(port) })
    return
  }
  process.send?.({ error: `func did not run within ${readySecondsMax} s` })
}

/** @returns false where nobody is left in the group */
const signalGroup = (signal: NodeJS.Signals | 0): boolean => {
  try {
    return runtime.pid !== undefined && process.kill(-runtime.pid, signal)
  } catch {
    return false
  }
}

let isAsked = false
const end = async (): Promise<void> => {
  if (isAsked) return
  isAsked = true
  signalGroup('SIGTERM')
  for (const endsAt = Date.now() + stopSecondsMax * 1000; signalGroup(0) && Date.now() < endsAt; ) await sleep(100)
  signalGroup('SIGKILL')
  process.exit(0)
}
for (const event of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.on(event, () => void end())

void tellReady()
const how = await ended
if (!isAsked) {
  // What func leaves behind when it dies is of no use to anybody.
  signalGroup('SIGKILL')
  process.stderr.write(`${how}\n`)
  if (process.connected) await new Promise((resolve) => process.send?.({ error: how }, resolve))
  process.exit(1)
}
