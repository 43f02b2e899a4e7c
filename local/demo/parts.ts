import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Azurite, startAzurite } from '../azurite.ts'
import { appEnvironment, type ComputeReady, coreToolsEnvironment } from './app-environment.ts'
import { type Child, startChild } from './child.ts'
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
  /** Absolute path of `func` of Azure Functions Core Tools, to run the app on it; null or absent: on the host of local/host. */
  readonly funcPath?: string | null
  /** App settings over those that belong to the local Azure. */
  readonly settings?: Readonly<Record<string, string>>
  /** Told of every part that is up, and of every port that is not the usual one. */
  readonly say?: (line: string) => void
}

/** What the Functions host says when it is ready. */
export interface HostReady {
  readonly port: number
}

const projectFolder = fileURLToPath(new URL('../../', import.meta.url))
const computeMain = fileURLToPath(new URL('../compute/main.ts', import.meta.url))
const hostMain = fileURLToPath(new URL('../host/main.ts', import.meta.url))
const coreToolsMain = fileURLToPath(new URL('./core-tools-host.ts', import.meta.url))

/** The Functions host's usual port, the compute emulator's two, and Azurite's; the last two only where the runtime of Azure needs them. */
const usualPorts = [
  { name: 'the Functions host', port: 7071 },
  { name: 'the compute emulator', port: 7081 },
  { name: 'the disk data plane', port: 7082 },
  { name: 'Azurite', port: 10_000 },
  { name: 'the queue service of Azurite', port: 10_001 },
  { name: 'the table service of Azurite', port: 10_002 },
] as const

/** Where each part listens on 127.0.0.1. */
export interface Ports {
  readonly hostPort: number
  readonly armPort: number
  readonly dataPort: number
  readonly azuritePort: number
  readonly queuePort: number
  readonly tablePort: number
}

/** Chooses the ports, and says which are not the usual ones. */
export const portsFor = async (options: LocalAzureOptions): Promise<Ports> => {
  const isUsual = options.ports === 'usual'
  const wanted = usualPorts.slice(0, hasCoreTools(options) ? undefined : -2)
  const chosen = await choosePorts(wanted.map(({ port }) => (isUsual ? port : 0)))
  for (const [index, { name, port }] of wanted.entries()) {
    if (isUsual && chosen[index] !== port)
      options.say?.(`Port ${port} is in use by another program, so ${name} takes ${chosen[index]}.`)
  }
  const [hostPort = 0, armPort = 0, dataPort = 0, azuritePort = 0, queuePort = 0, tablePort = 0] = chosen
  return { hostPort, armPort, dataPort, azuritePort, queuePort, tablePort }
}

const hasCoreTools = ({ funcPath = null }: LocalAzureOptions): boolean => funcPath !== null

/** The processes, and the environment that the host runs with. */
export interface Parts {
  readonly azurite: Azurite
  readonly compute: Child<ComputeReady>
  readonly host: Child<HostReady>
  readonly environment: NodeJS.ProcessEnv
}

/** Starts storage, compute emulator and host in this order. What was started is stopped again when a later part fails.
 * @throws with the name of the part that did not start and the end of its log */
export const startParts = async (options: LocalAzureOptions, ports: Ports): Promise<Parts> => {
  await using started = new AsyncDisposableStack()
  const azurite = started.use(await startStorage(options, ports))
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

const startStorage = (options: LocalAzureOptions, ports: Ports): Promise<Azurite> => {
  const { azuritePort, queuePort, tablePort } = ports
  const blobs = { folder: `${options.dataFolder}/azurite`, port: azuritePort }
  return startAzurite(hasCoreTools(options) ? { ...blobs, more: { queuePort, tablePort } } : blobs)
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

/** Starts the Functions host with the built app. */
export const startHost = (
  options: LocalAzureOptions,
  port: number,
  env: NodeJS.ProcessEnv,
): Promise<Child<HostReady>> => {
  const { dataFolder, funcPath = null } = options
  const common = { name: 'the Functions host', logPath: `${dataFolder}/logs/host.log` }
  if (funcPath !== null) {
    const args = ['--func', funcPath, '--app', projectFolder, '--port', String(port)]
    const environment = coreToolsEnvironment(env, dirname(process.execPath))
    return startChild({ ...common, main: coreToolsMain, args, env: environment, readySecondsMax: 330 })
  }
  const args = ['--app', projectFolder, '--data', `${dataFolder}/host`, '--port', String(port)]
  return startChild({ ...common, main: hostMain, args, env })
}
