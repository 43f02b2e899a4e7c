import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createChances } from '../support/chances.ts'
import { createChaos } from '../support/chaos.ts'
import { faultsOf } from '../support/checkers.ts'
import { driveToEnd, latestJobId, sweep } from '../support/drive.ts'
import { type RestartingHost, startRestartingHost } from '../support/restarting-host.ts'
import { type CalmRun, calmBackup, type Simulation, startSimulation } from '../support/simulation.ts'
import { createWorld, forkWorld } from '../support/world.ts'

/**
 * Runs of the whole job in which many things go wrong at once, by a seed: throttling, answers that are lost, access that ends in the middle,
 * activities that run twice at the same time, workers and hosts that die, two sweeps at once, sweeps that start the slot again when its job has ended. Replay one run with SIM_SEED=<seed>; SIM_RUNS says how many.
 */
const runs = Number(process.env.SIM_RUNS ?? 250)
const seeds =
  process.env.SIM_SEED === undefined
    ? Array.from({ length: runs }, (_, index) => 1000 + index)
    : process.env.SIM_SEED.split(',').map(Number)

let simulation: Simulation
let before: CalmRun
beforeAll(async () => {
  simulation = await startSimulation()
  before = await calmBackup(simulation, null)
})
afterAll(() => simulation.stop())

/** Every third run is a first backup, the others come on top of one. */
const runSeed = async (
  seed: number,
): Promise<{ faults: readonly string[]; story: readonly string[]; attempts: number }> => {
  const isFirst = seed % 3 === 0
  const world = isFirst ? await createWorld() : forkWorld(before.world)
  world.day = 0
  const databasePath = isFirst ? simulation.scratch.fresh() : simulation.scratch.copy(before.databasePath)
  const chaos = createChaos(world, createChances(seed), {
    worker: () => host.killWorker(),
    host: () => host.restart(),
  })
  const options = { world, databasePath, ...chaos }
  const host: RestartingHost = await startRestartingHost(() => simulation.open(options))
  try {
    for (let sweeps = 0; latestJobId(world) === (isFirst ? null : before.jobId); sweeps += 1) {
      if (sweeps > 10) throw new Error('No sweep starts the job.')
      await Promise.all(seed % 2 === 0 ? [sweep(host)] : [sweep(host), sweep(host)])
    }
    const jobId = latestJobId(world)!
    await driveToEnd(host, databasePath, jobId)
    world.lateLooks = seed % 3
    const record = await driveToEnd(host, databasePath, jobId)
    const hasLateTwins = chaos.story.some((line) => line.startsWith('late twin'))
    const faults = await faultsOf(world, { record, commits: isFirst ? 1 : 2, databasePath, hasLateTwins })
    return { faults, story: chaos.story, attempts: record.attempts }
  } catch (error) {
    return { faults: [String(error)], story: chaos.story, attempts: 0 }
  } finally {
    await host.kill()
    simulation.scratch.drop(databasePath)
  }
}

describe('a backup among faults', () => {
  it('ends as if nothing had happened', async () => {
    const failed: string[] = []
    let faults = 0
    let nextAttempts = 0
    for (const seed of seeds) {
      const run = await runSeed(seed)
      faults += run.story.length
      if (run.attempts > 1) nextAttempts += 1
      if (run.faults.length === 0) continue
      failed.push(`SIM_SEED=${seed}: ${run.faults.join(' ')}\n    ${run.story.join('\n    ')}`)
    }
    console.log(
      `${seeds.length} runs, seeds ${seeds[0]} to ${seeds.at(-1)}: ${faults} faults and deaths, ${nextAttempts} jobs ended by a later attempt than the first, ${failed.length} failed`,
    )
    expect(failed).toEqual([])
    if (seeds.length > 100) expect(Math.min(faults / seeds.length, nextAttempts)).toBeGreaterThan(2)
  }, 900_000)
})
