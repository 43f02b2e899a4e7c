import { describe, expect, it } from 'vitest'
import { refOf } from '../../shared/domain/job-ref.ts'
import { markClosing, readClaim, renewClaim, takeClaim } from '../../shared/jobs/claim.ts'
import { finishJob } from '../../shared/jobs/finish-job.ts'
import { requestStop, stopReasonOf } from '../../shared/jobs/stop.ts'
import { fakeWorld, sampleJob } from './world.ts'

const job = sampleJob()
const now = new Date('2026-03-10T02:00:00Z')

const claimed = async () => {
  const world = fakeWorld()
  await takeClaim(world.control, job, 'token-1', now)
  return world
}

describe('a stop request', () => {
  it('keeps its first reason, for all attempts of the job', async () => {
    const { control } = await claimed()
    await requestStop(control, job, 'missedWindow')
    await requestStop(control, job, 'cancelled')
    await renewClaim(control, (await readClaim(control, job))!, 'token-2', now, 'cancelled')
    expect(await stopReasonOf(control, job)).toBe('missedWindow')
  })

  it('is of one job, not of another one of the VM, and of none that is over', async () => {
    const { control } = await claimed()
    const other = sampleJob('another')
    await requestStop(control, other, 'cancelled')
    expect(await stopReasonOf(control, job)).toBeNull()
    await requestStop(control, job, 'cancelled')
    expect(await stopReasonOf(control, other)).toBeNull()
    await control.remove(`claims/${job.vmKey}`)
    await requestStop(control, job, 'cancelled')
    expect(await readClaim(control, job)).toBeNull()
  })

  it('that comes between a look at the claim and a change of it is not lost', async () => {
    const { control } = await claimed()
    await readClaim(control, job)
    await requestStop(control.reopen(), job, 'cancelled')
    expect(await markClosing(control, refOf({ job, token: 'token-1' }))).not.toBeNull()
    expect((await readClaim(control, job))!.claim).toMatchObject({ stopping: 'cancelled', isClosing: true })
  })

  it('that comes while the job ends does not keep its claim', async () => {
    const world = await claimed()
    const other = world.control.reopen()
    world.control.pause = async ({ operation, name }) => {
      if (operation === 'remove' && name.startsWith('claims/')) await requestStop(other, job, 'cancelled')
    }
    const outcome = { kind: 'failed' as const, reason: 'r', message: 'm', hint: 'h', disks: [] }
    expect(await finishJob(world, { ...refOf({ job, token: 'token-1' }), outcome })).toMatchObject({ kind: 'finished' })
    expect(await readClaim(other, job)).toBeNull()
  })
})
