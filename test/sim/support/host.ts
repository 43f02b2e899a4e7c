import { randomUUID } from 'node:crypto'
import { createDurableEngine } from '../../../local/host/durable/engine.ts'
import { eventType } from '../../../local/host/durable/history-event.ts'
import type { TurnGate } from '../../../local/host/durable/scheduler.ts'
import type { InvocationRequest, InvocationResult, RpcValue } from '../../../local/host/invocation.ts'
import type { App } from './app.ts'
import type { HubServer } from './hub-server.ts'
import { type Life, startLife } from './lives.ts'
import { servicesOf } from './services-of.ts'
import { sliceRule } from './slice-rule.ts'
import { type Watch, watches } from './watch.ts'
import type { World } from './world.ts'

export interface HostOptions {
  readonly app: App
  readonly hub: HubServer
  readonly world: World
  /** The task hub's file; made if missing. */
  readonly databasePath: string
  /** Stands around all port calls of one invocation, outside the effects; `run` is 2 for the twin of an activity that runs twice. */
  readonly watch?: (request: InvocationRequest, run: 1 | 2) => Watch
  /** Asked before each invocation; true ends the worker process before it answers. */
  readonly diesIn?: (request: InvocationRequest) => boolean
  /** Asked for each activity; true runs it twice at once. The answer of the first run that ends counts. */
  readonly isTwin?: (request: InvocationRequest) => boolean
  /** Told of each commit of the engine. */
  readonly afterCommit?: () => void
}

/** A Functions host: the real engine on its file, and a worker that can die. */
export interface Host {
  readonly world: World
  /** Runs one function from outside: a trigger, with the Durable client where it has one. */
  trigger(functionName: string, value: RpcValue): Promise<InvocationResult>
  /** Invocations of the worker that have not ended. */
  running(): number
  /** Resolves after the next commit of the engine, or a few milliseconds later. */
  nextChange(): Promise<void>
  /** The worker process dies and is started anew; the engine goes on. */
  killWorker(): void
  /** Engine and worker are gone; the file stays. */
  kill(): Promise<void>
}

/** Durable time runs this much faster than the clock: a retry after 5 s comes at once. */
const timeScale = 1e-4

/** Keeps the timer of the window from ending it: the state of a crash may be gone on from a minute later, which is a week of its time. */
const endlessWindow: TurnGate = {
  subscribe: () => undefined,
  admit: (_instanceId, due) => due.filter(({ event }) => !isWindowEnd(JSON.parse(event))),
}

const isWindowEnd = (event: { readonly EventType?: number; readonly FireAt?: string }): boolean =>
  event.EventType === eventType.timerFired && Date.parse(event.FireAt ?? '') > Date.now() + 12 * 3600 * 1000

/** Opens the host and takes up what the file holds. */
export const openHost = async (options: HostOptions): Promise<Host> => {
  const { app, hub, world } = options
  let life = startLife(app)
  const changes = new Set<() => void>()
  const changed = () => {
    for (const tell of changes) tell()
    changes.clear()
  }
  const invoke = async (request: InvocationRequest): Promise<InvocationResult> => {
    if (options.diesIn?.(request)) {
      killWorker()
      return { kind: 'workerDied', exitCode: 137 }
    }
    const result = await invokeIn(life, options, request)
    setImmediate(changed)
    return result
  }
  const killWorker = () => {
    const old = life
    life = startLife(app)
    old.end()
  }
  const engine = createDurableEngine({
    databasePath: options.databasePath,
    worker: { functions: app.functions, invoke },
    hubName: 'Simulation',
    maxConcurrentActivityFunctions: 10,
    maxConcurrentOrchestratorFunctions: 10,
    publicOrigin: () => hub.origin,
    systemKey: null,
    timeScale,
    gate: endlessWindow,
    afterCommit: () => {
      options.afterCommit?.()
      setImmediate(changed)
    },
    onLog: (event) => {
      world.log.push(JSON.stringify(event))
      if (event.kind === 'refused') world.broken.push(`The engine refused ${event.instanceId}: ${event.message}`)
    },
  })
  hub.engine = engine
  await engine.start()
  return {
    world,
    trigger: (functionName, value) => invoke(triggerRequest(app, functionName, value, engine.clientBinding())),
    running: () => life.running,
    nextChange: () =>
      new Promise((resolve) => {
        changes.add(resolve)
        setTimeout(resolve, 5).unref()
      }),
    killWorker,
    kill: async () => {
      hub.engine = null
      const stopped = engine.stop()
      life.end()
      await stopped
    },
  }
}

const invokeIn = (life: Life, options: HostOptions, request: InvocationRequest): Promise<InvocationResult> => {
  const run = (number: 1 | 2): Promise<InvocationResult> => {
    const outer = options.watch?.(request, number) ?? ((_call, act) => Promise.resolve(act()))
    // Asked again right before the effect: what waited when the worker died does not happen any more.
    const watch = watches(life.watch, outer, life.watch, sliceRule(options.world, request))
    const log = (line: string) => void options.world.log.push(line)
    return life.invoke(request, { services: servicesOf(options.world, watch), slots: life.slots, log })
  }
  return options.isTwin?.(request) ? Promise.race([run(1), run(2)]) : run(1)
}

const triggerRequest = (app: App, functionName: string, value: RpcValue, client: string): InvocationRequest => {
  const { bindings } = app.functions.find(({ name }) => name === functionName)!
  const inputs = bindings
    .filter(({ direction }) => direction === 'in')
    .map(({ name, type }) => ({ name, value: type === 'durableClient' ? { string: client } : value }))
  return { invocationId: randomUUID(), functionName, inputs, triggerMetadata: {} }
}
