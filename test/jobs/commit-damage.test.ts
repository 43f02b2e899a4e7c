import { expect, it } from 'vitest'
import { startJob } from '../../shared/jobs/start-job.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { restoreDisk } from '../support/vault-world.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

const { vmKey } = sampleVm()
const jobOf = (day: number) => sampleJob(`day ${day}`, `2026-03-1${day}T02:00:00.000Z`)

const backUp = async (world: FakeWorld, day: number) => {
  const instances = fakeInstances()
  await startJob({ ...world, instances }, jobOf(day))
  return (await runJob(world, instances.started[0]!)).outcome
}

/** An increment reads nothing of the layers below it, so that one is gone is first seen when it is committed. */
it('a backup on a layer that is gone is not committed, and the next one is a full', async () => {
  const world = fakeWorld()
  world.platform.disks.get('os')?.fill('first', 0, 8192)
  expect(await backUp(world, 0)).toMatchObject({ kind: 'completed' })
  const name = `layers/${jobOf(0).recoveryPointId}/os`
  expect(world.vault.objects.delete(name)).toBe(true)
  world.platform.disks.get('os')?.fill('changed', 0, 4096)
  expect(await backUp(world, 1)).toMatchObject({ kind: 'failed' })
  expect(await damageOf(world.control, vmKey)).toMatchObject([{ name, kind: 'index', code: 'object-missing' }])
  expect(await backUp(world, 2)).toMatchObject({ kind: 'completed' })
  const found = await readRecoveryPoint(world.vault, jobOf(2))
  expect(found?.recoveryPoint.disks.find(({ disk }) => disk === 'os')).toMatchObject({
    fullReason: 'stored-bytes-damaged',
  })
  const restored = await restoreDisk(world.vault, found!.recoveryPoint, 'os')
  expect(restored.equals(world.platform.disks.get('os')!)).toBe(true)
})
