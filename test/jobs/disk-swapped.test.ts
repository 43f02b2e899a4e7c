import { describe, expect, it } from 'vitest'
import type { Claim, DiskReport } from '../../shared/domain/job.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { SourceError } from '../../shared/ports/disk-reader.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, mib, sampleJob, sampleVm } from './world.ts'

const start = async (world: FakeWorld, cause: string): Promise<Claim> => {
  const instances = fakeInstances()
  await startJob({ ...world, instances }, sampleJob(cause, `2026-03-1${cause}T02:00:00.000Z`))
  return instances.started[0]!
}

/** Backs up twice; `change` happens in the second backup, when its plan is made and its restore point is not. */
const backUpTwice = async (world: FakeWorld, change: () => void): Promise<readonly DiskReport[]> => {
  world.platform.disks.get('lun-0')!.fill('old ', 0, 64 * 1024)
  await runJob(world, await start(world, '0'))
  world.platform.answers.set('ensure', [{ kind: 'pending', retryAfterSeconds: 3 }])
  const second = await runJob(world, await start(world, '1'), (activity) => {
    if (activity === 'takeRestorePoint') change()
  })
  expect(second.outcome).toMatchObject({ kind: 'completed' })
  return (await latestRecoveryPoint(world.vault, sampleVm().vmKey))!.recoveryPoint.disks as never
}

const setDisk = (world: FakeWorld, fields: object) => {
  const [vm] = world.platform.vms
  world.platform.vms[0] = {
    ...vm!,
    disks: vm!.disks.map((disk) => (disk.disk === 'os' ? disk : { ...disk, ...fields })),
  }
}

describe('a disk that changes between the plan and the restore point', () => {
  it('is transferred in full where another disk is in its slot, also where the platform names no families', async () => {
    const world = fakeWorld()
    world.platform.family = null
    const disks = await backUpTwice(world, () => {
      setDisk(world, { uniqueId: 'unique-other' })
      world.platform.disks.set('lun-0', Buffer.alloc(4 * mib, 'new '))
    })
    expect(disks[1]).toMatchObject({ transfer: 'full', fullReason: 'disk-recreated', stack: [{}] })
    expect(disks[0]).toMatchObject({ transfer: 'incremental' })
  })

  it('is transferred in full where it has grown across 4 TiB', async () => {
    const world = fakeWorld()
    let sizeBytes = 4 * mib
    const grown: FakeWorld = {
      ...world,
      openReader: (sasUrl, baseSasUrl) => {
        const reader = world.openReader(sasUrl, baseSasUrl)
        return { ...reader, sizeBytes: async () => (sasUrl.includes('lun-0') ? sizeBytes : reader.sizeBytes()) }
      },
    }
    const disks = await backUpTwice(grown, () => {
      sizeBytes = 5 * 1024 ** 4
    })
    expect(disks[1]).toMatchObject({ transfer: 'full', fullReason: 'diff-unsupported', sizeBytes: 5 * 1024 ** 4 })
    expect(disks[0]).toMatchObject({ transfer: 'incremental' })
  })

  it('is transferred in full where the platform loses the base while it compares', async () => {
    const world = fakeWorld()
    const losing: FakeWorld = {
      ...world,
      openReader: (sasUrl, baseSasUrl) => {
        const reader = world.openReader(sasUrl, baseSasUrl)
        if (baseSasUrl === null || !sasUrl.includes('lun-0')) return reader
        const base = [...world.platform.copies.keys()].find((id) => baseSasUrl.includes(id)) ?? ''
        const listRanges = () => {
          world.platform.copies.delete(base)
          throw new SourceError({ code: 'gone' })
        }
        return { ...reader, listRanges }
      },
    }
    const disks = await backUpTwice(losing, () => undefined)
    expect(disks[1]).toMatchObject({ transfer: 'full', fullReason: 'base-gone' })
    expect(disks[0]).toMatchObject({ transfer: 'incremental' })
  })
})
