import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Azurite, startAzurite } from '../azurite.ts'
import { appEnvironment, type ComputeReady } from './app-environment.ts'
import { type Child, startChild, tailOf } from './child.ts'
import { choosePorts } from './ports.ts'

export interface LocalAzureOptions {
  /** Absolute; everything is kept below it: `azurite`, `compute`, `host`, `logs`. */
  readonly dataFolder: string
  /** Absolute path of the fleet file. */
  readonly fleetPath: string
  /** The subscriptions that the fleet's VMs are in. */
  readonly subscriptionIds: readonly string[]
  /** `usual`: the ports that users know where they are free. `any`: free ones. */
  readonly ports: 'usual' | 'any'
  /** App settings over those that belong to the local Azure. */
  readonly settings?: Readonly<Record<string, string>>
  /** Told of every part that is up, and of every port that is not the usual one. */
  readonly say?: (line: string) => void
}

/** The local Azure with the app running on it, in processes of their own. */
export interface LocalAzure extends AsyncDisposable {
  /** `http://127.0.0.1:7071`: the app's HTTP API and the host's own routes. */
  readonly hostOrigin: string
  /** The setting `VaultStorage` of the app. */
  readonly storageConnectionString: string
  readonly compute: ComputeReady
  /** The environment that the host runs with. */
  readonly environment: NodeJS.ProcessEnv
  readonly azuritePid: number
  readonly computePid: number
  /** The present host's. */
  readonly hostPid: () => number
  /** Resolves with a message for people when a part ends that nobody asked to. Pending for ever otherwise. */
  readonly broken: Promise<string>
  /** Ends the host as a crash would, worker included; the rest stays up. */
  killHost(): Promise<void>
  /** Starts the host again on the same data and the same port. */
  startHost(settings?: Readonly<Record<string, string>>): Promise<void>
  /** Ends all parts in order: host, compute emulator, storage. Repeatable. */
  stop(): Promise<void>
}

interface HostReady {
  readonly port: number
}

const projectFolder = fileURLToPath(new URL('../../', import.meta.url))
const computeMain = fileURLToPath(new URL('../compute/main.ts', import.meta.url))
const hostMain = fileURLToPath(new URL('../host/main.ts', import.meta.url))

/** The Functions host's usual port, the compute emulator's two, and Azurite's. */
const usualPorts = [
  { name: 'the Functions host', port: 7071 },
  { name: 'the compute emulator', port: 7081 },
  { name: 'the disk data plane', port: 7082 },
  { name: 'Azurite', port: 10_000 },
] as const

/** Starts Azurite, the compute emulator and the Functions host with the built app, and waits until all answer. What was started is stopped
 * again when a later part fails.
 * @throws with the name of the part that did not start and the end of its log */
export const startLocalAzure = async (options: LocalAzureOptions): Promise<LocalAzure> => {
  const [hostPort = 0, armPort = 0, dataPort = 0, azuritePort = 0] = await portsFor(options)
  await mkdir(options.dataFolder, { recursive: true })
  const parts = await startParts(options, { hostPort, armPort, dataPort, azuritePort })
  const { azurite, compute } = parts
  let { host } = parts
  let isStopping = false
  const broken = Promise.withResolvers<string>()
  const watch = (child: Child<unknown>): void => {
    void child.ended.then(async ({ asked, signal, code }) => {
      if (!asked && !isStopping) broken.resolve(await endMessage(child, signal ?? `code ${code}`))
    })
  }
  watch(compute)
  watch(host)
  void azurite.ended.then(() => isStopping || broken.resolve('Azurite has ended. The run cannot go on without it.'))
  const stop = async (): Promise<void> => {
    isStopping = true
    await host.stop()
    await compute.stop()
    await azurite.stop()
  }
  return {
    hostOrigin: `http://127.0.0.1:${hostPort}`,
    storageConnectionString: azurite.connectionString,
    compute: compute.ready,
    environment: parts.environment,
    azuritePid: azurite.pid,
    computePid: compute.pid,
    hostPid: () => host.pid,
    broken: broken.promise,
    killHost: () => host.kill(),
    startHost: async (settings = {}) => {
      host = await startHost(options, hostPort, { ...parts.environment, ...settings })
      watch(host)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

interface Ports {
  readonly hostPort: number
  readonly armPort: number
  readonly dataPort: number
  readonly azuritePort: number
}

const portsFor = async (options: LocalAzureOptions): Promise<readonly number[]> => {
  if (options.ports === 'any') return choosePorts(usualPorts.map(() => 0))
  const chosen = await choosePorts(usualPorts.map(({ port }) => port))
  for (const [index, { name, port }] of usualPorts.entries()) {
    if (chosen[index] !== port)
      options.say?.(`Port ${port} is in use by another program, so ${name} takes ${chosen[index]}.`)
  }
  return chosen
}

const startParts = async (
  options: LocalAzureOptions,
  ports: Ports,
): Promise<{
  azurite: Azurite
  compute: Child<ComputeReady>
  host: Child<HostReady>
  environment: NodeJS.ProcessEnv
}> => {
  await using started = new AsyncDisposableStack()
  const azurite = started.use(await startAzurite({ folder: `${options.dataFolder}/azurite`, port: ports.azuritePort }))
  options.say?.(`Storage (Azurite) listens on ${azurite.blobEndpoint}`)
  const compute = await startCompute(options, ports)
  started.defer(() => compute.stop())
  options.say?.(`Compute emulator listens on ${compute.ready.armEndpoint}`)
  options.say?.(`Disk data plane listens on ${compute.ready.dataPlaneOrigin}`)
  const environment = {
    ...appEnvironment({
      parent: process.env,
      compute: compute.ready,
      connectionString: azurite.connectionString,
      subscriptionIds: options.subscriptionIds,
      hostPort: ports.hostPort,
    }),
    ...options.settings,
  }
  const host = await startHost(options, ports.hostPort, environment)
  options.say?.(`Functions host listens on http://127.0.0.1:${ports.hostPort}`)
  started.move()
  return { azurite, compute, host, environment }
}

const startCompute = (options: LocalAzureOptions, ports: Ports): Promise<Child<ComputeReady>> => {
  const places = ['--data', `${options.dataFolder}/compute`, '--fleet', options.fleetPath]
  return startChild<ComputeReady>({
    name: 'the compute emulator',
    main: computeMain,
    args: [...places, '--port', String(ports.armPort), '--data-port', String(ports.dataPort)],
    env: process.env,
    logPath: `${options.dataFolder}/logs/compute.log`,
  })
}

const startHost = (options: LocalAzureOptions, port: number, env: NodeJS.ProcessEnv): Promise<Child<HostReady>> =>
  startChild<HostReady>({
    name: 'the Functions host',
    main: hostMain,
    args: ['--app', projectFolder, '--data', `${options.dataFolder}/host`, '--port', String(port)],
    env,
    logPath: `${options.dataFolder}/logs/host.log`,
  })

const endMessage = async (child: Child<unknown>, how: string): Promise<string> =>
  `${child.name.replace(/^the/, 'The')} has ended with ${how}. The run cannot go on without it.\n${await tailOf(child.logPath)}`
