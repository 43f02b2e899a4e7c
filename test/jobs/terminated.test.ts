import { describe, expect, it } from 'vitest'
import { readClaim } from '../../shared/jobs/claim.ts'
import { readJobRecord } from '../../shared/jobs/job-records.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

/** Runs a backup up to its second slice, ends its instance in that way, and lets the supervisor and the next attempt do the rest. */
const endedAs = async (runtimeStatus: 'Terminated' | 'Failed') => {
  const world = fakeWorld()
  world.platform.disks.get('os')!.fill('x')
  const instances = fakeInstances()
  const deps = { ...world, instances, attemptsMax: 3 }
  await startJob(deps, sampleJob())
  let slices = 0
  const first = runJob(world, instances.started[0]!, (activity) => {
    if (activity === 'transferSlice' && ++slices === 2) return new Promise<void>(() => undefined)
    return undefined
  })
  first.catch(() => undefined)
  while (slices < 2) await new Promise(setImmediate)
  instances.statuses.set(`${sampleJob().jobId}.1`, { state: 'ended', runtimeStatus, customStatus: null })
  await supervise(deps)
  const { outcome } = await runJob(world, instances.started[1]!)
  return { world, outcome }
}

describe('a job whose instance somebody terminated', () => {
  it('ends as cancelled, with its accesses ended and its claim given back', async () => {
    const { world, outcome } = await endedAs('Terminated')
    expect(outcome).toMatchObject({ kind: 'cancelled', hint: expect.stringMatching(/again/) })
    expect(await readJobRecord(world.control, sampleJob().jobId)).toMatchObject({ outcome: { kind: 'cancelled' } })
    expect(await readClaim(world.control, sampleJob())).toBeNull()
    expect([...world.platform.live]).toEqual([])
    expect(await latestRecoveryPoint(world.vault, sampleVm().vmKey)).toBeNull()
  })

  it('is another matter than one that the platform failed, which goes on', async () => {
    expect((await endedAs('Failed')).outcome).toMatchObject({ kind: 'completed' })
  })
})
