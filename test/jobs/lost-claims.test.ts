import { describe, expect, it } from 'vitest'
import type { BackupJob, Claim } from '../../shared/domain/job.ts'
import { refOf } from '../../shared/domain/job-ref.ts'
import { commitJob } from '../../shared/jobs/commit-job.ts'
import { endOrphans } from '../../shared/jobs/maintenance/end-orphans.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { takeSources } from '../../shared/jobs/take-sources.ts'
import { readUnfinished } from '../../shared/jobs/unfinished.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { restoreDisk } from '../support/vault-world.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

const { vmKey } = sampleVm()
const claimName = `claims/${vmKey}`
const first = sampleJob('first', '2026-03-10T02:00:00.000Z')
const second = sampleJob('second', '2026-03-10T03:00:00.000Z')
const third = sampleJob('third', '2026-03-10T04:00:00.000Z')

const begin = async (world: FakeWorld, job: BackupJob): Promise<Claim> => {
  const instances = fakeInstances()
  expect(await startJob({ ...world, instances }, job)).toMatchObject({ kind: 'started' })
  return instances.started[0] ?? expect.unreachable()
}

/** A backup whose plan was made, and whose claim is gone since.
 * @param hasCopies whether it took the platform's copies before */
const lost = async (hasCopies: boolean) => {
  const world = fakeWorld()
  const claim = await begin(world, first)
  expect(await planVmBackup(world, { job: first, token: claim.token })).toMatchObject({ kind: 'planned' })
  if (hasCopies) expect(await takeSources(world, refOf(claim), first.source)).toMatchObject({ kind: 'ready' })
  const content = world.control.objects.get(claimName) ?? expect.unreachable()
  world.control.objects.delete(claimName)
  const bringBack = () => void world.control.objects.set(claimName, content)
  return { world, claim, bringBack }
}

/** What the supervisor makes of the claim, as its instance is gone. */
const goOn = async (world: FakeWorld) => {
  const instances = fakeInstances()
  await supervise({ ...world, instances, attemptsMax: 3 })
  return runJob(world, instances.started[0] ?? expect.unreachable())
}

const intents = ({ control }: FakeWorld): readonly string[] =>
  [...control.objects.keys()].filter((name) => name.startsWith('intents/'))

const isFenced = ({ vault }: FakeWorld, { recoveryPointId }: BackupJob): boolean =>
  Buffer.from(vault.objects.get(`recovery-points/${vmKey}/${recoveryPointId}/0001.json`)?.bytes ?? [])
    .toString()
    .includes('"aborted":true')

describe('a backup whose claim is lost', () => {
  it.each([false, true])(
    'is given up by a pass, whether it has copies (%s) or not; the next one is whole',
    async (has) => {
      const { world, claim } = await lost(has)
      await endOrphans(world)
      expect(isFenced(world, first)).toBe(true)
      expect(intents(world)).toEqual([])
      for (const step of [takeSources(world, refOf(claim), first.source), commitJob(world, refOf(claim))])
        expect(await step).toMatchObject({ kind: 'failed', reason: 'superseded' })
      expect((await runJob(world, await begin(world, second))).outcome).toMatchObject({ kind: 'completed' })
    },
  )

  it('goes on where the claim comes back before a pass', async () => {
    const { world, bringBack } = await lost(true)
    bringBack()
    await endOrphans(world)
    expect(isFenced(world, first)).toBe(false)
    expect((await goOn(world)).outcome).toMatchObject({ kind: 'completed' })
  })

  it('says that it was given up where the claim comes back behind a pass', async () => {
    const { world, bringBack } = await lost(true)
    await endOrphans(world)
    bringBack()
    expect((await goOn(world)).outcome).toMatchObject({ kind: 'failed', reason: 'recovery-point-aborted' })
    expect((await runJob(world, await begin(world, second))).outcome).toMatchObject({ kind: 'completed' })
    expect([await readUnfinished(world.control, vmKey), intents(world)]).toEqual([null, []])
  })

  it('has lost its copies where the claim comes back behind a later backup, which stays whole, as does the next', async () => {
    const { world, bringBack } = await lost(true)
    world.platform.disks.get('os')?.fill('later')
    await runJob(world, await begin(world, second))
    bringBack()
    expect((await goOn(world)).outcome).toMatchObject({ kind: 'failed' })
    world.platform.disks.get('os')?.fill('last', 0, 4096)
    expect((await runJob(world, await begin(world, third))).outcome).toMatchObject({ kind: 'completed' })
    expect(isFenced(world, first)).toBe(true)
    expect([await readUnfinished(world.control, vmKey), intents(world)]).toEqual([null, []])
    for (const { recoveryPointId } of [second, third]) {
      const found = (await readRecoveryPoint(world.vault, { vmKey, recoveryPointId })) ?? expect.unreachable()
      const restored = await restoreDisk(world.vault, found.recoveryPoint, 'os')
      expect(restored.equals(world.platform.disks.get('os') ?? Buffer.alloc(0))).toBe(
        recoveryPointId === third.recoveryPointId,
      )
    }
  })
})
