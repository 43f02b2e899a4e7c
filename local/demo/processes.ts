import { mkdir } from 'node:fs/promises'
import type { ComputeReady } from './app-environment.ts'
import { type Child, tailOf } from './child.ts'
import { type LocalAzureOptions, type Parts, type Ports, portsFor, startHost, startParts } from './parts.ts'

/** The local Azure with the app running on it, in processes of their own. */
export interface LocalAzure extends AsyncDisposable {
  /** `http://127.0.0.1:7071`: the app's HTTP API and the host's own routes. */
  readonly hostOrigin: string
  /** The setting `VaultStorage` of the app. */
  readonly storageConnectionString: string
  readonly compute: ComputeReady
  /** Resolves with a message for people when a part ends that nobody asked to. Pending for ever otherwise. */
  readonly broken: Promise<string>
  /** Ends the host as a crash would; its worker ends with it, the rest stays up. */
  killHost(): Promise<void>
  /** Starts the host again on the same data and the same port. */
  startHost(settings?: Readonly<Record<string, string>>): Promise<void>
  /** Ends all parts in order: host, compute emulator, storage. Repeatable. */
  stop(): Promise<void>
}

/** Starts Azurite, the compute emulator and the Functions host with the built app, and waits until all answer. What was started is stopped
 * again when a later part fails.
 * @throws with the name of the part that did not start and the end of its log */
export const startLocalAzure = async (options: LocalAzureOptions): Promise<LocalAzure> => {
  await mkdir(options.dataFolder, { recursive: true })
  const { ports, parts } = await startOnFreePorts(options)
  const { azurite, compute } = parts
  let { host } = parts
  const watch = watchman(parts)
  const stop = async (): Promise<void> => {
    watch.end()
    await host.stop()
    await compute.stop()
    await azurite.stop()
  }
  return {
    hostOrigin: `http://127.0.0.1:${ports.hostPort}`,
    storageConnectionString: azurite.connectionString,
    compute: compute.ready,
    broken: watch.broken,
    killHost: () => host.kill(),
    startHost: async (settings = {}) => {
      host = await startHost(options, ports.hostPort, { ...parts.environment, ...settings })
      watch.over(host)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Another program may take a port between its choice and its use. */
const portTriesMax = 3

const startOnFreePorts = async (options: LocalAzureOptions): Promise<{ ports: Ports; parts: Parts }> => {
  for (let tries = 1; ; tries += 1) {
    const ports = await portsFor(options)
    try {
      return { ports, parts: await startParts(options, ports) }
    } catch (error) {
      if (tries >= portTriesMax || !String(error).includes('EADDRINUSE')) throw error
    }
  }
}

/** Looks out for parts that end though nobody asked them to. */
const watchman = ({ azurite, compute, host }: Parts) => {
  const { promise: broken, resolve } = Promise.withResolvers<string>()
  let isOver = false
  const over = (child: Child<unknown>): void => {
    void child.ended.then(async ({ asked, signal, code }) => {
      if (!asked && !isOver) resolve(await endMessage(child, signal ?? `code ${code}`))
    })
  }
  over(compute)
  over(host)
  void azurite.ended.then(() => isOver || resolve('Azurite has ended. The run cannot go on without it.'))
  const end = (): void => {
    isOver = true
  }
  return { broken, over, end }
}

const endMessage = async (child: Child<unknown>, how: string): Promise<string> =>
  `${child.name.replace(/^the/, 'The')} has ended with ${how}. The run cannot go on without it.\n${await tailOf(child.logPath)}`
