import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type HostOptions, type RunningHost, startHost } from '../../local/host/host.ts'
import type { LogEntry } from '../../local/host/log.ts'

const repository = path.resolve(import.meta.dirname, '../..')

/** A built app in a folder of its own, next to a folder for the host's data; both go with `remove`. */
export interface FixtureApp {
  readonly appFolder: string
  readonly dataFolder: string
  remove(): Promise<void>
}

/** Writes an app: file names to texts; package.json is an ES module's that loads `dist/*.js` unless it is given. */
export const writeApp = async (files: Readonly<Record<string, string>>): Promise<FixtureApp> => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'host-'))
  const appFolder = path.join(root, 'app')
  const all = { 'package.json': JSON.stringify({ type: 'module', main: 'dist/*.js' }), ...files }
  for (const [name, text] of Object.entries(all)) {
    const file = path.join(appFolder, name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  await symlink(path.join(repository, 'node_modules'), path.join(appFolder, 'node_modules'), 'junction')
  return {
    appFolder,
    dataFolder: path.join(root, 'data'),
    remove: () => rm(root, { recursive: true, maxRetries: 3 }),
  }
}

/** In place of the Durable engine where a test is not about it: it knows no path, and its client leads nowhere. */
const noEngine: HostOptions['createEngine'] = (options) => ({
  start: async () => {},
  stop: async () => {},
  idle: async () => {},
  handle: async () => false,
  clientBinding: () =>
    JSON.stringify({
      taskHubName: options.hubName,
      creationUrls: {},
      managementUrls: {},
      baseUrl: `${options.publicOrigin()}/runtime/webhooks/durabletask`,
      requiredQueryStringParameters: '',
      rpcBaseUrl: `${options.publicOrigin()}/durabletask/`,
    }),
})

export interface TestHost extends RunningHost {
  readonly logs: readonly LogEntry[]
  /** Messages that functions logged themselves, as `name: message`. */
  userLogs(): readonly string[]
  fetch(path: string, init?: RequestInit): Promise<Response>
  workerPid(): Promise<number>
}

/** Starts a host for a fixture app in this process, on a free port. */
export const startTestHost = async (app: FixtureApp, overrides: Partial<HostOptions> = {}): Promise<TestHost> => {
  const logs: LogEntry[] = []
  const host = await startHost({
    appFolder: app.appFolder,
    dataFolder: app.dataFolder,
    port: 0,
    auth: 'off',
    environment: { PATH: process.env.PATH },
    createEngine: noEngine,
    onLog: (entry) => logs.push(entry),
    onGivenUp: () => {},
    ...overrides,
  })
  const fetchFrom = (path_: string, init?: RequestInit) => fetch(host.origin + path_, init)
  return {
    ...host,
    logs,
    fetch: fetchFrom,
    userLogs: () =>
      logs
        .filter(({ category }) => category.endsWith('.User'))
        .map(({ category, message }) => `${category.split('.')[1]}: ${message}`),
    workerPid: async () => {
      const status = (await (await fetchFrom('/admin/host/status')).json()) as { workers: { pid: number }[] }
      return status.workers[0]!.pid
    },
  }
}

/** Waits, at most 20 s, until a condition holds. */
export const eventually = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + 20_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Did not happen in time: ${holds.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
