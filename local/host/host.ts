import path from 'node:path'
import { readAppSettings, resolveSettings } from './app-settings.ts'
import { lockDataFolder } from './data-folder.ts'
import type { DurableEngine, DurableEngineOptions } from './durable/engine.ts'
import { engineLog } from './engine-log.ts'
import { functionCatalog, type HostedFunction, type HttpFunction, type TimerFunction } from './function-catalog.ts'
import { type HostSettings, readHostJson } from './host-json.ts'
import { hostFront, isClientRpc } from './http/front.ts'
import { type HttpServer, notReady, startHttpServer } from './http/http-server.ts'
import { type HostKeys, loadKeys } from './http/keys.ts'
import type { FunctionWorker } from './invocation.ts'
import { hostedWorker, type InvokeFunction, invokeThrough } from './invoke-function.ts'
import type { LogSink } from './log.ts'
import { parseSchedule, type Schedule } from './timers/schedule.ts'
import { startTimerListener, type TimerListener } from './timers/timer-listener.ts'
import { parseFaultSwitch } from './worker/fault-switch.ts'
import { type RunningWorker, startFunctionWorker } from './worker/function-worker.ts'
import { processMemory } from './worker/process-memory.ts'

export interface HostOptions {
  /** Absolute; holds package.json, host.json and the built app. */
  readonly appFolder: string
  /** Absolute; holds all state of this host, and belongs to one host at a time. */
  readonly dataFolder: string
  /** 0 takes any free port. */
  readonly port: number
  /** Whether functions and the admin routes want keys. */
  readonly auth: 'off' | 'keys'
  readonly environment: NodeJS.ProcessEnv
  readonly createEngine: (options: DurableEngineOptions) => DurableEngine
  readonly onLog: LogSink
  /** The worker cannot be kept running; the process should end. */
  readonly onGivenUp: (reason: Error) => void
}

export interface RunningHost {
  readonly port: number
  readonly origin: string
  readonly routePrefix: string
  readonly catalog: readonly HostedFunction[]
  /** Lets what runs end for a while, runs the app-terminate hooks, ends the worker. */
  stop(): Promise<void>
}

/** How long requests under way, and timer functions, may take when the host is told to stop. */
const stopGraceMilliseconds = 5000

/** Undoes what has been started, last first; each step once, and all of them even where one fails. */
const cleanupStack = () => {
  const steps: (() => Promise<void> | void)[] = []
  const run = async (): Promise<void> => {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) await step()
  }
  return { push: (step: () => Promise<void> | void) => steps.push(step), run }
}

type CleanupStack = ReturnType<typeof cleanupStack>

/** What the app is given as its environment. */
const workerEnvironment = (settings: NodeJS.ProcessEnv, port: number): NodeJS.ProcessEnv => ({
  AZURE_FUNCTIONS_ENVIRONMENT: 'Development',
  ...settings,
  FUNCTIONS_WORKER_RUNTIME: 'node',
  // The Durable client rewrites its URLs to localhost:7071 where this is missing.
  WEBSITE_HOSTNAME: `127.0.0.1:${port}`,
})

const startWorker = async (
  options: HostOptions,
  settings: NodeJS.ProcessEnv,
  host: HostSettings,
  port: number,
  cleanup: CleanupStack,
): Promise<RunningWorker> => {
  const worker = await startFunctionWorker({
    appFolder: options.appFolder,
    environment: workerEnvironment(settings, port),
    functionTimeoutSeconds: host.functionTimeoutSeconds,
    fault: parseFaultSwitch(options.environment.DELTAVAULT_HOST_FAULT, options.dataFolder),
    onLog: options.onLog,
    onGivenUp: options.onGivenUp,
  })
  cleanup.push(() => worker.stop())
  return worker
}

const timerSchedules = (
  timers: readonly TimerFunction[],
  settings: NodeJS.ProcessEnv,
): readonly { readonly hosted: TimerFunction; readonly schedule: Schedule }[] => {
  const timeZone = settings.WEBSITE_TIME_ZONE ?? 'UTC'
  return timers.map((hosted) => {
    try {
      return { hosted, schedule: parseSchedule(resolveSettings(hosted.schedule, settings), timeZone) }
    } catch (error) {
      throw new Error(`Function "${hosted.name}": ${(error as Error).message}`, { cause: error })
    }
  })
}

const startTimers = async (
  options: HostOptions,
  schedules: ReturnType<typeof timerSchedules>,
  invoke: InvokeFunction,
  cleanup: CleanupStack,
): Promise<ReadonlyMap<string, TimerListener>> => {
  const listeners = new Map<string, TimerListener>()
  for (const { hosted, schedule } of schedules) {
    const listener = await startTimerListener({
      hosted,
      schedule,
      statusFolder: path.join(options.dataFolder, 'timers'),
      run: (trigger, reason) => invoke(hosted, trigger, reason),
      onLog: options.onLog,
    })
    cleanup.push(() => Promise.race([listener.stop(), patience()]))
    listeners.set(hosted.name, listener)
  }
  return listeners
}

const patience = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, stopGraceMilliseconds).unref()
  })

const startEngine = async (
  options: HostOptions,
  host: HostSettings,
  worker: FunctionWorker,
  origin: string,
  keys: HostKeys | null,
  cleanup: CleanupStack,
) => {
  const engine = options.createEngine({
    databasePath: path.join(options.dataFolder, 'durable.sqlite'),
    worker,
    hubName: host.hubName,
    maxConcurrentActivityFunctions: host.maxConcurrentActivityFunctions,
    maxConcurrentOrchestratorFunctions: host.maxConcurrentOrchestratorFunctions,
    publicOrigin: () => origin,
    systemKey: keys?.systemKey ?? null,
    onLog: engineLog(options.onLog),
  })
  await engine.start()
  // A turn that waits for a worker which cannot be started would keep the engine from ending.
  cleanup.push(() => Promise.race([engine.stop(), patience()]))
  return engine
}

const isHttp = (hosted: HostedFunction): hosted is HttpFunction => hosted.kind === 'http'
const isTimer = (hosted: HostedFunction): hosted is TimerFunction => hosted.kind === 'timer'

const startParts = async (options: HostOptions, server: HttpServer, cleanup: CleanupStack): Promise<RunningHost> => {
  const { onLog } = options
  const settings = await readAppSettings(options.appFolder, options.environment)
  const host = await readHostJson(options.appFolder, settings)
  const origin = `http://127.0.0.1:${server.port}`
  const worker = await startWorker(options, settings, host, server.port, cleanup)
  const catalog = functionCatalog(worker.functions, host.hubName)
  const schedules = timerSchedules(catalog.filter(isTimer), settings)
  const names = catalog.map(({ name }) => name)
  const keys = options.auth === 'keys' ? await loadKeys(options.dataFolder, names) : null

  const hosted = hostedWorker(worker, catalog, () => engine.clientBinding(), onLog)
  const invoke = invokeThrough(hosted, onLog)
  const engine = await startEngine(options, host, hosted, origin, keys, cleanup)
  const listeners = await startTimers(options, schedules, invoke, cleanup)
  const { routePrefix } = host
  const admin = {
    catalog,
    publicOrigin: origin,
    routePrefix,
    invoke,
    manualTimerTrigger: (name: string) => listeners.get(name)!.manualTrigger(),
    workers: async () => (worker.pid === null ? [] : [await processMemory(worker.pid)]),
  }
  const front = hostFront({ functions: catalog.filter(isHttp), routePrefix, keys, admin, invoke, engine, onLog })
  server.serve(front)
  // Functions that are to end in order may still have to ask the engine something.
  cleanup.push(async () => {
    server.serve((target, ...exchange) => (isClientRpc(target) ? front : notReady)(target, ...exchange))
    await Promise.race([server.idle(), patience()])
  })
  return { port: server.port, origin, routePrefix, catalog, stop: cleanup.run }
}

/**
 * Starts a whole host: worker, Durable engine, timers and HTTP, in that order, with the port taken first.
 * @throws with a message for people where the app, its settings, the port or the data folder are not as they must be;
 * nothing is left running then
 */
export const startHost = async (options: HostOptions): Promise<RunningHost> => {
  const cleanup = cleanupStack()
  try {
    cleanup.push(await lockDataFolder(options.dataFolder))
    const server = await startHttpServer(options.port, options.onLog)
    cleanup.push(() => server.close())
    return await startParts(options, server, cleanup)
  } catch (error) {
    await cleanup.run()
    throw error
  }
}
