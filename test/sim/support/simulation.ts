import { type App, loadApp } from './app.ts'
import { createChances } from './chances.ts'
import { faultsOf } from './checkers.ts'
import { type CrashRecorder, recordCrashes } from './crash-points.ts'
import { driveToEnd, latestJobId, sweep } from './drive.ts'
import { vmKey } from './fleet.ts'
import { type Host, type HostOptions, openHost } from './host.ts'
import { type HubServer, startHubServer } from './hub-server.ts'
import { latency } from './latency.ts'
import { createScratch, type Scratch } from './scratch.ts'
import { watches } from './watch.ts'
import { createWorld, forkWorld, type World } from './world.ts'

/** What all runs of one test file share. */
export interface Simulation {
  readonly app: App
  readonly hub: HubServer
  readonly scratch: Scratch
  open(options: Omit<HostOptions, 'app' | 'hub'>): Promise<Host>
  stop(): Promise<void>
}

export const startSimulation = async (): Promise<Simulation> => {
  const app = await loadApp()
  const hub = await startHubServer()
  const scratch = createScratch()
  return {
    app,
    hub,
    scratch,
    open: (options) => openHost({ ...options, app, hub }),
    stop: async () => {
      await hub.stop()
      scratch.remove()
    },
  }
}

/** Restores the VM's newest recovery point by the HTTP API, undisturbed. */
export const calmRestore = async (simulation: Simulation, before: CalmRun): Promise<CalmRun> => {
  const world = forkWorld(before.world)
  const databasePath = simulation.scratch.copy(before.databasePath)
  const crashes = recordCrashes(world, databasePath, simulation.scratch)
  const slow = latency(createChances(latencySeed), 12)
  const watch = () => watches(crashes.watch, slow)
  const host = await simulation.open({ world, databasePath, watch, afterCommit: crashes.committed })
  try {
    const jobId = await startRestore(host)
    await driveToEnd(host, databasePath, jobId)
    return { jobId, crashes, world, databasePath }
  } finally {
    await host.kill()
  }
}

const startRestore = async (host: Host): Promise<string> => {
  const started = await host.trigger('startRestore', {
    http: {
      method: 'POST',
      url: 'http://localhost/api/restores',
      headers: { 'content-type': 'application/json' },
      params: {},
      query: {},
      body: { string: JSON.stringify({ vmKey, recoveryPointId: 'latest' }) },
    },
  })
  const body = started.kind === 'succeeded' ? started.returnValue?.http?.body : undefined
  const text = body?.string ?? (body?.bytes === undefined ? '' : Buffer.from(body.bytes).toString())
  const { jobId } = JSON.parse(text === '' ? '{}' : text) as { jobId?: string }
  if (jobId === undefined) throw new Error(`No restore was started: ${JSON.stringify(started)}`)
  return jobId
}

/** A run in which nothing went wrong, with what a crash would have left at each of its calls. */
export interface CalmRun {
  readonly jobId: string
  readonly crashes: CrashRecorder
  /** The world at the end. */
  readonly world: World
  readonly databasePath: string
}

const latencySeed = 7

/** Backs the VM up once, undisturbed: the first time in a new world, then on the next day of a world that has been backed up.
 * @throws where the checkers find something wrong even so */
export const calmBackup = async (simulation: Simulation, before: CalmRun | null): Promise<CalmRun> => {
  const world = before === null ? await createWorld() : forkWorld(before.world)
  if (before !== null) world.day += 1
  const commits = before === null ? 1 : 2
  const databasePath = before === null ? simulation.scratch.fresh() : simulation.scratch.copy(before.databasePath)
  const crashes = recordCrashes(world, databasePath, simulation.scratch)
  const slow = latency(createChances(latencySeed), 12)
  const watch = () => watches(crashes.watch, slow)
  const host = await simulation.open({ world, databasePath, watch, afterCommit: crashes.committed })
  try {
    await sweep(host)
    const jobId = latestJobId(world)!
    const record = await driveToEnd(host, databasePath, jobId)
    const faults = await faultsOf(world, { record, commits, databasePath })
    if (faults.length > 0) throw new Error(faults.join('\n'))
    return { jobId, crashes, world, databasePath }
  } finally {
    await host.kill()
  }
}
