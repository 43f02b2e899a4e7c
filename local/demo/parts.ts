import { fileURLToPath } from 'node:url'
import { type Azurite, startAzurite } from '../azurite.ts'
import { appEnvironment, type ComputeReady } from './app-environment.ts'
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

/** The Functions host's usual port, the compute emulator's two, and Azurite's. */
const usualPorts = [
  { name: 'the Functions host', port: 7071 },
  { name: 'the compute emulator', port: 7081 },
  { name: 'the disk data plane', port: 7082 },
  { name: 'Azurite', port: 10_000 },
] as const

/** Where each part listens on 127.0.0.1. */
export interface Ports {
  readonly hostPort: number
  readonly armPort: number
  readonly dataPort: number
  readonly azuritePort: number
}

/** Chooses the ports, and says which are not the usual ones. */
export const portsFor = async (options: LocalAzureOptions): Promise<Ports> => {
  const isUsual = options.ports === 'usual'
  const chosen = await choosePorts(usualPorts.map(({ port }) => (isUsual ? port : 0)))
  for (const [index, { name, port }] of usualPorts.entries()) {
    if (isUsual && chosen[index] !== port)
      options.say?.(`Port ${port} is in use by another program, so ${name} takes ${chosen[index]}.`)
  }
  const [hostPort = 0, armPort = 0, dataPort = 0, azuritePort = 0] = chosen
  return { hostPort, armPort, dataPort, azuritePort }
}

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

/** Starts the Functions host with the built app. */
export const startHost = (
  options: LocalAzureOptions,
  port: number,
  env: NodeJS.ProcessEnv,
): Promise<Child<HostReady>> =>
  startChild<HostReady>({
    name: 'the Functions host',
    main: hostMain,
    args: ['--app', projectFolder, '--data', `${options.dataFolder}/host`, '--port', String(port)],
    env,
    logPath: `${options.dataFolder}/logs/host.log`,
  })
