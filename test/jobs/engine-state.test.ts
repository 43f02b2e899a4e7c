import type { DurableClient } from 'durable-functions'
import { describe, expect, it } from 'vitest'
import { durableInstances } from '../../functions/durable-instances.ts'
import { type JobStatus, jobStatus } from '../../shared/jobs/job-status.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { requestStop } from '../../shared/jobs/stop.ts'
import { runJob } from './run-job.ts'
import { fakeInstances, fakeWorld, sampleJob } from './world.ts'

const { jobId } = sampleJob()

/** GET job, of a job whose instance the engine shows like that. */
const shown = async (runtimeStatus: string, minutesAgo: number) => {
  const world = fakeWorld()
  await startJob({ ...world, instances: fakeInstances() }, sampleJob())
  const lastUpdatedTime = new Date(world.clock.now().getTime() - minutesAgo * 60_000)
  const client = { getStatus: async () => ({ runtimeStatus, customStatus: null, lastUpdatedTime }) }
  const instances = durableInstances(client as unknown as DurableClient)
  return { status: await jobStatus({ ...world, instances }, jobId), since: lastUpdatedTime.toISOString() }
}

describe('GET job', () => {
  it('shows the engine’s own word, and since when', async () => {
    const { status, since } = await shown('Running', 60)
    expect(status).toMatchObject({ state: 'running', runtimeStatus: 'Running', runtimeStatusSince: since, hint: null })
  })

  it('shows an instance that somebody suspended, with what can be done', async () => {
    const { status } = await shown('Suspended', 1)
    expect(status).toMatchObject({
      state: 'suspended',
      runtimeStatus: 'Suspended',
      hint: expect.stringMatching(/Resume/),
    })
  })

  it('shows that the engine has not begun a job for minutes', async () => {
    expect((await shown('Pending', 1)).status).toMatchObject({ state: 'running', hint: null })
    const { status } = await shown('Pending', 6)
    expect(status).toMatchObject({
      state: 'waiting',
      runtimeStatus: 'Pending',
      hint: expect.stringMatching(/not begun/),
    })
  })

  it('shows a job whose instance has ended as waiting for the sweep', async () => {
    const { status } = await shown('Failed', 1)
    expect(status).toMatchObject({ state: 'waiting', runtimeStatus: 'Failed', hint: expect.stringMatching(/sweep/) })
  })

  it('says of an ended job whether it can go on, the same at each place', async () => {
    const world = fakeWorld()
    const instances = fakeInstances()
    world.platform.disks.get('os')!.fill('x')
    await startJob({ ...world, instances }, sampleJob())
    await runJob(world, instances.started[0]!, async (activity) => {
      if (activity === 'transferSlice') await requestStop(world.control, sampleJob(), 'cancelled')
    })
    const ended = () => jobStatus({ ...world, instances }, jobId)
    const hintsIn = (status: JobStatus | null) => {
      const { outcome, hint } = status!
      if (outcome?.kind !== 'cancelled') throw new Error(`It ended as ${outcome?.kind}.`)
      const ofDisks = outcome.disks.flatMap((disk) => (disk.kind === 'stopped' ? disk.hint : []))
      expect(ofDisks.length).toBeGreaterThan(0)
      return { hint, others: new Set([outcome.hint, ...ofDisks]) }
    }
    const before = hintsIn(await ended())
    expect(before.hint).toMatch(/resume/)
    expect(before.others).toEqual(new Set([before.hint]))
    await world.control.remove(`unfinished/${sampleJob().vmKey}`)
    const after = hintsIn(await ended())
    expect(after.hint).toBeNull()
    expect([...after.others]).toEqual([expect.stringMatching(/POST backups/)])
  })
})
