import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DurableEngineOptions } from '../../../../local/host/durable/engine.ts'
import type { InvocationRequest, InvocationResult } from '../../../../local/host/invocation.ts'
import { type EngineServer, startEngineServer } from './engine-server.ts'
import { type LibraryApp, loadLibraryApp } from './library-app.ts'

export interface InstanceStatusBody {
  readonly runtimeStatus: string
  readonly output: unknown
  readonly customStatus: unknown
  readonly input: unknown
  readonly createdTime: string
  readonly historyEvents?: readonly Record<string, unknown>[]
}

/** An engine with a small app, for one test. */
export interface AppEngine extends AsyncDisposable {
  readonly app: LibraryApp
  readonly databasePath: string
  server: EngineServer
  /** Starts an instance over HTTP and waits for its end. */
  run(name: string, input?: unknown, id?: string): Promise<InstanceStatusBody>
  start(name: string, input?: unknown, id?: string): Promise<string>
  post(pathAndQuery: string, body?: unknown): Promise<Response>
  status(id: string): Promise<InstanceStatusBody>
  /** Waits until the instance has this status, or any of the ends if none is given. */
  reaches(id: string, status?: string): Promise<InstanceStatusBody>
  /** Stops the engine and starts another one on the same database. */
  restart(): Promise<void>
}

type Invoke = (request: InvocationRequest) => Promise<InvocationResult>

/** @param source CommonJS; `df` is the durable-functions library, `sleep(ms)` waits
 * @param wrap puts something around the worker's invoke */
export async function startAppEngine(
  source: string,
  options: Partial<DurableEngineOptions> = {},
  wrap: (invoke: Invoke) => Invoke = (invoke) => invoke,
): Promise<AppEngine> {
  const folder = mkdtempSync(path.join(tmpdir(), 'durable-app-'))
  const databasePath = path.join(folder, 'engine.db')
  const prelude = `const df = require('durable-functions'); const sleep = (ms) => new Promise((r) => setTimeout(r, ms));`
  const app = loadLibraryApp(`${prelude}\n${source}`)
  const worker = { functions: app.functions, invoke: wrap(app.invoke) }
  const startServer = () => startEngineServer({ databasePath, worker, ...options })
  const engine: AppEngine = {
    app,
    databasePath,
    server: await startServer(),
    async run(name, input, id) {
      return engine.reaches(await engine.start(name, input, id))
    },
    async start(name, input, id) {
      const response = await engine.post(`orchestrators/${name}${id === undefined ? '' : `/${id}`}`, input)
      if (response.status !== 202) throw new Error(`start answered ${response.status}: ${await response.text()}`)
      return ((await response.json()) as { readonly id: string }).id
    },
    post: (pathAndQuery, body) =>
      fetch(`${engine.server.origin}/durabletask/${pathAndQuery}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: body === undefined ? '' : JSON.stringify(body),
      }),
    status: (id) => statusOf(engine, id, '?showHistory=true&showHistoryOutput=true'),
    reaches: (id, status) => reaches(engine, id, status),
    async restart() {
      await engine.server.stop()
      engine.server = await startServer()
    },
    async [Symbol.asyncDispose]() {
      await engine.server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return engine
}

async function statusOf(engine: AppEngine, id: string, query: string): Promise<InstanceStatusBody> {
  const response = await fetch(`${engine.server.origin}/durabletask/instances/${encodeURIComponent(id)}${query}`)
  return (await response.json()) as InstanceStatusBody
}

const patienceMs = 20_000
const ends = ['Completed', 'Failed', 'Terminated']

async function reaches(engine: AppEngine, id: string, wanted: string | undefined): Promise<InstanceStatusBody> {
  for (const endMs = Date.now() + patienceMs; ; await sleep(5)) {
    const status = await statusOf(engine, id, '')
    const isThere = wanted === undefined ? ends.includes(status.runtimeStatus) : status.runtimeStatus === wanted
    if (isThere) return engine.status(id)
    if (Date.now() > endMs) throw new Error(`${id} is still ${status.runtimeStatus}: ${JSON.stringify(status)}`)
  }
}
