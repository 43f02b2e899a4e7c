import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endedJobName } from '../../../shared/jobs/control-names.ts'
import { faultsOfRestore } from '../support/checkers.ts'
import { onceIn } from '../support/deaths.ts'
import { driveToEnd } from '../support/drive.ts'
import { type CalmRun, calmBackup, calmRestore, type Simulation, startSimulation } from '../support/simulation.ts'
import { forkWorld } from '../support/world.ts'

/** The same for a restore of the newest recovery point: a crash before and after each call, then nothing but the sweep. */
let simulation: Simulation
let restore: CalmRun
beforeAll(async () => {
  simulation = await startSimulation()
  restore = await calmRestore(simulation, await calmBackup(simulation, await calmBackup(simulation, null)))
})
afterAll(() => simulation.stop())

describe('a restore that is killed at any call', () => {
  it.each([
    ['and goes on from the task hub', []],
    ['and the next turn of its instance kills the worker, so that the next attempt takes over', ['restoreVm']],
  ])('gives usable disks with the right bytes: %s', async (text, dies) => {
    const { jobId, crashes } = restore
    const faults: string[] = []
    let promised = 0
    for (const state of crashes.states) {
      // Before the claim is there the caller has no answer, and nothing is promised.
      if (!state.world.control.objects.has(`claims/${jobId}`) && !state.world.control.objects.has(endedJobName(jobId)))
        continue
      promised += 1
      const world = forkWorld(state.world)
      const databasePath = simulation.scratch.copy(state.databasePath)
      const host = await simulation.open({ world, databasePath, diesIn: onceIn(dies) })
      try {
        const record = await driveToEnd(host, databasePath, jobId)
        const found = await faultsOfRestore(world, { record, databasePath })
        faults.push(...found.map((fault) => `${state.at[0]}: ${fault}`))
      } catch (error) {
        faults.push(`${state.at[0]}: ${error}`)
      } finally {
        await host.kill()
        simulation.scratch.drop(databasePath)
      }
    }
    console.log(
      `a restore, ${text}: ${crashes.calls()} calls, ${promised} different states after the claim, each recovered`,
    )
    expect(faults).toEqual([])
    expect(promised).toBeGreaterThan(20)
  })
})
