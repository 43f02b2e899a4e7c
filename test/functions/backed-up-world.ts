import { expect } from 'vitest'
import { startJob } from '../../shared/jobs/start-job.ts'
import { runJob } from '../jobs/run-job.ts'
import { fakeInstances, fakeWorld, sampleJob, sampleVm } from '../jobs/world.ts'

const { vmKey } = sampleVm()

/** So many backups of one VM, a day after another; `damage` flips a bit of a first commit record. */
export const backedUpWorld = async (backups: number) => {
  const world = fakeWorld()
  const ids: string[] = []
  for (let day = 0; day < backups; day += 1) {
    const instances = fakeInstances()
    const job = sampleJob(`day ${day}`, `2026-03-1${day}T02:00:00.000Z`)
    await startJob({ ...world, instances }, job)
    expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
    ids.push(job.recoveryPointId)
  }
  const nameOf = (recoveryPointId: string, revision = 1) =>
    `recovery-points/${vmKey}/${recoveryPointId}/000${revision}.json`
  const damage = (recoveryPointId: string): void => {
    world.vault.objects.get(nameOf(recoveryPointId))!.bytes[200]! ^= 1
  }
  return { world, ids, nameOf, damage }
}
