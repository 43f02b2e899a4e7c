import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { faultsOf } from '../support/checkers.ts'
import type { CrashState } from '../support/crash-points.ts'
import { onceIn } from '../support/deaths.ts'
import { driveToEnd } from '../support/drive.ts'
import { restoreFaults } from '../support/restore-check.ts'
import { type CalmRun, calmBackup, type Simulation, startSimulation } from '../support/simulation.ts'
import { forkWorld } from '../support/world.ts'

/**
 * One backup is run on the real engine by the real app, over ports in memory. At every call of a port, before it takes effect and after,
 * all that would survive a crash is kept: both containers, the platform, the file of the task hub. From each of these states a new host
 * goes on, with nothing but the timer's sweep to help it, and must come to the same end as if nothing had happened.
 */
let simulation: Simulation
let full: CalmRun
let incremental: CalmRun
beforeAll(async () => {
  simulation = await startSimulation()
  full = await calmBackup(simulation, null)
  incremental = await calmBackup(simulation, full)
})
afterAll(() => simulation.stop())

/** How the crash goes on, by the number of the state: what dies after it besides all that ran, and whether the task hub is lost too. */
type Aftermath = (state: number) => { readonly dies: readonly string[]; readonly hub: 'kept' | 'lost' }

const aftermaths: Readonly<Record<string, Aftermath>> = {
  'and goes on from the task hub': () => ({ dies: [], hub: 'kept' }),
  'and the next turn of its instance kills the worker, so that the next attempt takes over': () => ({
    dies: ['protectVm'],
    hub: 'kept',
  }),
  'and a turn of a child kills the worker, or the task hub is lost': (state) =>
    state % 2 === 0 ? { dies: ['protectDisk', 'transferLane'], hub: 'kept' } : { dies: [], hub: 'lost' },
}

const recover = async (
  run: CalmRun,
  commits: number,
  state: CrashState,
  after: ReturnType<Aftermath>,
): Promise<{ readonly faults: readonly string[]; readonly attempts: number }> => {
  const world = forkWorld(state.world)
  const visible = await restoreFaults(world)
  const databasePath = after.hub === 'kept' ? simulation.scratch.copy(state.databasePath) : simulation.scratch.fresh()
  const host = await simulation.open({ world, databasePath, diesIn: onceIn(after.dies) })
  try {
    const record = await driveToEnd(host, databasePath, run.jobId)
    return {
      faults: [...visible, ...(await faultsOf(world, { record, commits, databasePath }))],
      attempts: record.attempts,
    }
  } catch (error) {
    return { faults: [String(error)], attempts: 0 }
  } finally {
    await host.kill()
    simulation.scratch.drop(databasePath)
  }
}

const runs = [
  { name: 'a full backup', run: () => full, commits: 1 },
  { name: 'an incremental backup', run: () => incremental, commits: 2 },
]

describe.each(runs)('$name that is killed at any call', ({ name, run, commits }) => {
  it.each(Object.entries(aftermaths))('completes as if nothing had happened: %s', async (text, aftermath) => {
    const { crashes } = run()
    const calls = crashes.calls()
    expect(calls).toBeGreaterThan(150)
    expect(crashes.states.flatMap(({ at }) => at)).toHaveLength(2 * calls)
    const faults: string[] = []
    let nextAttempts = 0
    for (const [index, state] of crashes.states.entries()) {
      const recovered = await recover(run(), commits, state, aftermath(index))
      faults.push(...recovered.faults.map((fault) => `${state.at[0]}: ${fault}`))
      if (recovered.attempts > 1) nextAttempts += 1
    }
    console.log(
      `${name}, ${text}: ${calls} calls, a crash before and after each; ${crashes.states.length} different states, each recovered; the next attempt took over in ${nextAttempts}`,
    )
    expect(faults).toEqual([])
    if (aftermath(0).dies.length > 0) expect(nextAttempts).toBeGreaterThan(crashes.states.length / 4)
  })
})
