import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

const backUp = async (world: FakeWorld, day: number): Promise<RecoveryPoint> => {
  const instances = fakeInstances()
  await startJob({ ...world, instances }, sampleJob(`day ${day}`, `2026-03-1${day}T02:00:00.000Z`))
  expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
  return (await latestRecoveryPoint(world.vault, sampleVm().vmKey))!.recoveryPoint
}
const damage = (world: FakeWorld, { vmKey, recoveryPointId }: RecoveryPoint): void => {
  const { bytes } = world.vault.objects.get(`recovery-points/${vmKey}/${recoveryPointId}/0001.json`)!
  bytes[200]! ^= 1
}

describe('a VM whose newest commit record is damaged', () => {
  it('is backed up in full, says why, and is incremental again from then on', async () => {
    const world = fakeWorld()
    world.platform.disks.get('os')!.fill('x', 0, 4096)
    const first = await backUp(world, 0)
    damage(world, await backUp(world, 1))
    const third = await backUp(world, 2)
    expect(third.disks).toMatchObject([{ transfer: 'full', fullReason: 'base-record-damaged', stack: [{}] }, {}])
    expect(third.previous).toMatchObject({ recoveryPointId: first.recoveryPointId })
    expect((await backUp(world, 3)).disks).toMatchObject([{ transfer: 'incremental' }, {}])
  })

  it('is never given an older recovery point as its latest without a word', async () => {
    const world = fakeWorld()
    await backUp(world, 0)
    damage(world, await backUp(world, 1))
    await expect(latestRecoveryPoint(world.vault, sampleVm().vmKey)).rejects.toMatchObject({
      fault: { code: 'digest-mismatch' },
    })
  })
})
