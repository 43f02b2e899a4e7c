import { beforeEach, describe, expect, it } from 'vitest'
import type { BackupJob } from '../../shared/domain/job.ts'
import { refOf } from '../../shared/domain/job-ref.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { readClaim } from '../../shared/jobs/claim.ts'
import { endJob } from '../../shared/jobs/finish-job.ts'
import { decideOnce, encodeJson, readDecision } from '../../shared/jobs/json-object.ts'
import { planDiskTransfer } from '../../shared/jobs/plan-disk-transfer.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { takeSources } from '../../shared/jobs/take-sources.ts'
import { transferDiskSlice } from '../../shared/jobs/transfer-disk-slice.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'

import { fakeInstances, fakeWorld, sampleVm } from './world.ts'

const name = 'plans/r1/vm.json'

describe('a decision', () => {
  let control: ReturnType<typeof createMemoryBlobStore>
  beforeEach(() => {
    control = createMemoryBlobStore()
  })

  it('is refused with any of its bits flipped, and where it is cut', async () => {
    await decideOnce(control, name, { sizeBytes: 4096, stack: ['a'] })
    const { bytes, etag } = control.objects.get(name) ?? expect.unreachable()
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >>> 3]! ^= 1 << (bit & 7)
      control.objects.set(name, { bytes: flipped, etag })
      await expect(readDecision(control.reopen(), name), `bit ${bit}`).rejects.toMatchObject({ fault: { name } })
    }
    for (let length = 0; length < bytes.length; length += 1) {
      control.objects.set(name, { bytes: bytes.subarray(0, length), etag })
      await expect(readDecision(control.reopen(), name), `cut to ${length}`).rejects.toMatchObject({ fault: { name } })
    }
  })

  it('is read as version 0.2 wrote it', async () => {
    await control.put(name, encodeJson({ sizeBytes: 4096 }))
    expect(await readDecision(control, name)).toEqual({ sizeBytes: 4096 })
  })
})

describe('a backup that has lost', () => {
  /** One slice of its disk is in the vault. */
  const begun = async () => {
    const world = fakeWorld()
    const at = new Date('2026-03-10T02:00:00.000Z')
    const asked = { trigger: 'onDemand', policy: null, at, cause: 'test', now: at, windowHours: 24 } as const
    const sample = sampleVm()
    const vm = { ...sample, disks: sample.disks.filter(({ disk }) => disk === 'os') }
    world.platform.vms = [vm]
    world.platform.disks.get('os')?.fill('content')
    await startJob({ ...world, instances: fakeInstances() }, backupJobOf(vm, defaultChoices, asked))
    const held = (await readClaim(world.control, { jobId: '', vmKey: vm.vmKey })) ?? expect.unreachable()
    const job = held.claim.job as BackupJob
    const ref = refOf(held.claim)
    expect(await planVmBackup(world, { job, token: ref.token })).toMatchObject({ kind: 'planned' })
    expect(await takeSources(world, ref, job.source)).toMatchObject({ kind: 'ready' })
    const disk = { ...ref, disk: 'os', attempt: 2 }
    expect(await planDiskTransfer(world, disk)).toMatchObject({ kind: 'planned' })
    expect(await transferDiskSlice(world, { ...disk, slice: 0 })).toMatchObject({ kind: 'transferred' })
    return { world, held, job, disk, another: { ...world, control: world.control.reopen() } }
  }

  it('its plan makes no other one, which might lie on another base', async () => {
    const { world, another, job, disk } = await begun()
    expect(await planVmBackup(another, { job, token: disk.token })).toMatchObject({ kind: 'planned' })
    world.control.objects.delete(`plans/${job.recoveryPointId}/vm.json`)
    const again = { ...world, control: world.control.reopen() }
    expect(await planVmBackup(again, { job, token: disk.token })).toMatchObject({ reason: 'plan-missing' })
  })

  it('the plan of a disk cuts it into no other slices beside those that are there', async () => {
    const { world, another, job, disk } = await begun()
    expect(await planDiskTransfer(another, disk)).toMatchObject({ kind: 'planned' })
    world.control.objects.delete(`plans/${job.recoveryPointId}/os/summary.json`)
    const again = { ...world, control: world.control.reopen() }
    expect(await planDiskTransfer(again, disk)).toMatchObject({ reason: 'plan-missing' })
  })

  it('what it noted ends all the same, and gives its claim back', async () => {
    const { world, held, job } = await begun()
    for (const note of ['vm.json', 'sources.json'])
      world.control.objects.set(`plans/${job.recoveryPointId}/${note}`, { bytes: Buffer.from('{"sha'), etag: '"x"' })
    const again = { ...world, control: world.control.reopen() }
    const outcome = { kind: 'failed', reason: 'r', message: 'm', hint: 'h', disks: [] } as const
    await endJob(again, held, outcome)
    expect(await readClaim(again.control, job)).toBeNull()
    const record = world.vault.objects.get(`recovery-points/${job.vmKey}/${job.recoveryPointId}/0001.json`)
    expect(Buffer.from(record?.bytes ?? []).toString()).toContain('"aborted":true')
  })
})
