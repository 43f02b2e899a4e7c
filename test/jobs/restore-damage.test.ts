import { describe, expect, it } from 'vitest'
import { listVaultDamage } from '../../functions/http/damage.ts'
import { restoreJobIdOf } from '../../shared/domain/ids.ts'
import type { RestoreJob } from '../../shared/domain/job.ts'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { damageOf, writeDamage } from '../../shared/vault/damage-reports.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import { ask } from '../functions/call-endpoint.ts'
import { noWrappers } from '../support/fake-key-wrapper.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, mib, sampleJob, sampleVm } from './world.ts'

const { vmKey } = sampleVm()
const page = 4096

const worldWithData = (encryption = false): FakeWorld => {
  const world = fakeWorld({ encryption })
  seededRandom(7).bytes(mib).copy(world.platform.disks.get('os')!, mib)
  return world
}

const backUp = async (world: FakeWorld, day: number): Promise<RecoveryPoint> => {
  const instances = fakeInstances()
  const job = sampleJob(`day ${day}`, `2026-03-1${day}T02:00:00.000Z`)
  await startJob({ ...world, instances }, job)
  expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
  return (await readRecoveryPoint(world.vault, job))!.recoveryPoint
}

const restore = async (world: FakeWorld, { recoveryPointId }: RecoveryPoint, before?: Parameters<typeof runJob>[2]) => {
  const instances = fakeInstances()
  const jobId = restoreJobIdOf(new Date('2026-03-20T02:00:00.000Z'), vmKey, world.newToken())
  const job: RestoreJob = {
    kind: 'restore',
    jobId,
    vmKey,
    recoveryPointId,
    disks: [{ disk: 'os', targetDiskId: `/disks/${jobId}` }],
    location: 'westeurope',
    requestedAt: '2026-03-20T02:00:00.000Z',
  }
  await startJob({ ...world, instances }, job)
  const { outcome } = await runJob(world, instances.started[0]!, before)
  return { outcome, bytes: world.platform.targets.get(`/disks/${jobId}`)?.bytes }
}

const told = async (world: FakeWorld) =>
  (await ask(listVaultDamage, world, fakeInstances(), { method: 'GET', query: { vmKey } })).body.damage

const flip = (world: FakeWorld, prefix: string, at: number): string => {
  const name = [...world.vault.objects.keys()].sort().find((candidate) => candidate.startsWith(prefix))!
  world.vault.objects.get(name)!.bytes[at]! ^= 1
  return name
}

const failedBy = (reason: string, name: string) => ({
  kind: 'failed',
  reason: expect.stringContaining(reason),
  disks: [{ disk: 'os', kind: 'failed', reason: expect.stringContaining(name) }],
})

describe('damage that a restore comes upon', { timeout: 30_000 }, () => {
  it('is told by GET damage, and the next backup stores the bytes again', async () => {
    const world = worldWithData()
    const first = await backUp(world, 0)
    const name = flip(world, `segments/${first.recoveryPointId}/os/`, 500)
    expect(await told(world)).toEqual([])
    expect((await restore(world, first)).outcome).toMatchObject(failedBy('digest-mismatch', name))
    const ranges = [{ offsetBytes: mib, lengthBytes: mib }]
    expect(await told(world)).toMatchObject([
      { name, kind: 'data', touches: [{ recoveryPointId: first.recoveryPointId, disk: 'os', ranges }], soundIn: null },
    ])
    const second = await backUp(world, 1)
    expect(second.disks[0]).toMatchObject({ transfer: 'incremental', changedBytes: mib })
    const restored = await restore(world, second)
    expect(restored.outcome).toMatchObject({ kind: 'completed' })
    expect(restored.bytes?.equals(world.platform.disks.get('os')!)).toBe(true)
  })

  it('is told with the newest recovery point from the backup on that stored the bytes again', async () => {
    const world = worldWithData()
    const first = await backUp(world, 0)
    const name = flip(world, `segments/${first.recoveryPointId}/os/`, 500)
    const second = await backUp(world, 1)
    expect((await restore(world, first)).outcome).toMatchObject(failedBy('digest-mismatch', name))
    const [both] = await damageOf(world.control, vmKey)
    expect(both!.touches.map(({ recoveryPointId }) => recoveryPointId)).toEqual([
      first.recoveryPointId,
      second.recoveryPointId,
    ])
    const backUpAgain = { soundIn: null, hint: expect.stringMatching(/^Back the VM up/) }
    expect(await told(world)).toMatchObject([backUpAgain])
    // As by a check that began before the second was committed.
    await writeDamage(world.control, { ...both!, touches: both!.touches.slice(0, 1) })
    expect(await told(world)).toMatchObject([backUpAgain])
    const third = await backUp(world, 2)
    expect(await told(world)).toMatchObject([
      {
        name,
        soundIn: third.recoveryPointId,
        hint: expect.stringMatching(`^Recovery point ${third.recoveryPointId}.* is not hurt`),
      },
    ])
  })

  it('is told of a disk that the newest recovery point does not have as of one that it does not cure', async () => {
    const world = worldWithData()
    const first = await backUp(world, 0)
    flip(world, `segments/${first.recoveryPointId}/os/`, 500)
    await restore(world, first)
    const [report] = await damageOf(world.control, vmKey)
    await writeDamage(world.control, {
      ...report!,
      touches: report!.touches.map((touch) => ({ ...touch, disk: 'lun-7' })),
    })
    await backUp(world, 1)
    expect(await told(world)).toMatchObject([{ soundIn: null }])
  })

  it('is told of a layer, and the next backup does not lie on it', async () => {
    const world = worldWithData()
    const first = await backUp(world, 0)
    const name = flip(world, `layers/${first.recoveryPointId}/os`, 60)
    expect((await restore(world, first)).outcome).toMatchObject(failedBy('digest-mismatch', name))
    expect(await told(world)).toMatchObject([{ name, kind: 'index' }])
    const second = await backUp(world, 1)
    expect(second.disks[0]).toMatchObject({ transfer: 'full', fullReason: 'stored-bytes-damaged', stack: [{}] })
    expect(await told(world)).toMatchObject([{ name, soundIn: second.recoveryPointId }])
    expect((await restore(world, second)).outcome).toMatchObject({ kind: 'completed' })
  })

  it('is told of the record, be it read by the plan or by a disk', async () => {
    for (const activity of ['planRestore', 'restoreRange']) {
      const world = worldWithData()
      const first = await backUp(world, 0)
      const name = `recovery-points/${vmKey}/${first.recoveryPointId}/0001.json`
      const { outcome } = await restore(world, first, (called) => {
        if (called === activity) world.vault.objects.get(name)!.bytes[200]! ^= 1
      })
      expect(outcome, activity).toMatchObject({ kind: 'failed' })
      expect(await told(world), activity).toMatchObject([{ name, kind: 'record', touches: [{ disk: null }] }])
    }
  })

  it('checks nothing else, and leaves other reports as they are', async () => {
    const world = worldWithData()
    world.platform.disks.get('lun-0')!.fill('x', 0, page)
    const first = await backUp(world, 0)
    const other = flip(world, `segments/${first.recoveryPointId}/lun-0/`, 200)
    const name = flip(world, `segments/${first.recoveryPointId}/os/`, 500)
    world.vault.calls.length = 0
    await restore(world, first)
    expect(await told(world)).toMatchObject([{ name }])
    expect(world.vault.calls.filter((call) => call.name === other)).toEqual([])
    const bytes = world.vault.objects.get(name)!.bytes
    bytes[500]! ^= 1
    const layer = flip(world, `layers/${first.recoveryPointId}/os`, 60)
    await restore(world, first)
    const names = ((await told(world)) as { readonly name: string }[]).map((report) => report.name)
    expect(names.sort()).toEqual([layer, name].sort())
  })

  it('fails the restore as it would without a report, where that cannot be written', async () => {
    const world = worldWithData()
    const first = await backUp(world, 0)
    const name = flip(world, `segments/${first.recoveryPointId}/os/`, 500)
    let refused = 0
    world.control.pause = async ({ operation, name: object }) => {
      if (operation !== 'put' || !object.startsWith('damage/')) return
      refused += 1
      throw new Error('the control container takes nothing')
    }
    expect((await restore(world, first)).outcome).toMatchObject(failedBy('digest-mismatch', name))
    expect(refused).toBe(1)
    expect(await told(world)).toEqual([])
  })

  it('is none where the keys of the settings do not open what is whole', async () => {
    const world = worldWithData(true)
    const first = await backUp(world, 0)
    const { vault, control, clock } = world
    const keys = createVaultKeys({ vault, control, clock, wrappers: noWrappers })
    const { outcome } = await restore({ ...world, keys }, first)
    expect(outcome).toMatchObject({ kind: 'failed', reason: expect.stringContaining('key') })
    expect(await told(world)).toEqual([])
  })
})
