import { describe, expect, it } from 'vitest'
import type { Claim, RestoreJob } from '../../shared/domain/job.ts'
import { cancelJob } from '../../shared/jobs/cancel-job.ts'
import { readClaim } from '../../shared/jobs/claim.ts'
import { readJobRecord } from '../../shared/jobs/job-records.ts'
import { jobStatus } from '../../shared/jobs/job-status.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { supervise } from '../../shared/jobs/supervise.ts'
import { SourceError } from '../../shared/ports/disk-reader.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, mib, sampleJob, sampleVm } from './world.ts'

const vmKey = sampleVm().vmKey

const start = async (world: FakeWorld, cause: string, at: string): Promise<Claim> => {
  const instances = fakeInstances()
  await startJob({ ...world, instances }, sampleJob(cause, at))
  return instances.started[0]!
}
const backUp = async (world: FakeWorld, day: number) =>
  runJob(world, await start(world, `day ${day}`, `2026-03-${10 + day}T02:00:00.000Z`))
const write = (world: FakeWorld, disk: string, pages: readonly number[], text: string) => {
  for (const page of pages) world.platform.disks.get(disk)!.fill(text, page * 4096, page * 4096 + 4096)
}
const latest = async (world: FakeWorld) => (await latestRecoveryPoint(world.vault, vmKey))!.recoveryPoint

const restore = async (world: FakeWorld, recoveryPointId: string) => {
  const job: RestoreJob = {
    kind: 'restore',
    jobId: `restore-${vmKey}-20260320t020000z-0123456789`,
    vmKey,
    recoveryPointId,
    disks: ['os', 'lun-0'].map((disk) => ({ disk, targetDiskId: `/disks/${disk}-restored` })),
    location: 'westeurope',
    requestedAt: '2026-03-20T02:00:00.000Z',
  }
  const instances = fakeInstances()
  await startJob({ ...world, instances }, job)
  return runJob(world, instances.started[0]!)
}

describe('a backup', () => {
  it('is full the first time, then moves only what changed, and is restored byte for byte', async () => {
    const world = fakeWorld()
    write(world, 'os', [0, 1, 2, 700], 'system ')
    write(world, 'lun-0', [5, 6, 900], 'data ')
    const first = await backUp(world, 0)
    expect(first.outcome).toMatchObject({ kind: 'completed' })
    expect((await latest(world)).disks.map(({ transfer, fullReason }) => [transfer, fullReason])).toEqual([
      ['full', 'first-backup'],
      ['full', 'first-backup'],
    ])

    write(world, 'os', [1, 650], 'changed ')
    const second = await backUp(world, 1)
    expect(second.outcome).toMatchObject({
      kind: 'completed',
      summary: {
        disks: [
          { disk: 'os', transfer: 'incremental', changedBytes: 8192 },
          { disk: 'lun-0', changedBytes: 0 },
        ],
      },
    })
    const record = await latest(world)
    expect(record).toMatchObject({
      baseRecoveryPointId: expect.any(String),
      previous: { recoveryPointId: expect.any(String) },
    })

    const restored = await restore(world, record.recoveryPointId)
    expect(restored.outcome).toMatchObject({ kind: 'completed' })
    for (const disk of ['os', 'lun-0']) {
      const target = world.platform.targets.get(`/disks/${disk}-restored`)!
      expect(target).toMatchObject({ state: 'usable', footer: true })
      expect(target.bytes.equals(world.platform.disks.get(disk)!)).toBe(true)
    }
  })

  it('leaves no live access, one restore point, no claim and its outcome', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    for (const day of [0, 1, 2]) await backUp(world, day)
    expect([...world.platform.live]).toEqual([])
    const { recoveryPointId } = await latest(world)
    expect([...world.platform.copies.keys()].sort()).toEqual(
      ['lun-0', 'os'].map((disk) => `/restorePoint/${recoveryPointId}/${disk}`),
    )
    expect(await readClaim(world.control, sampleJob())).toBeNull()
    const record = await readJobRecord(world.control, sampleJob('day 2', '2026-03-12T02:00:00.000Z').jobId)
    expect(record).toMatchObject({ outcome: { kind: 'completed', recoveryPointId } })
  })

  it('puts no secret into any history, input, outcome, status or control object', async () => {
    const world = fakeWorld()
    write(world, 'os', [3, 600], 'x')
    const { instances } = await backUp(world, 0)
    const restored = await restore(world, (await latest(world)).recoveryPointId)
    expect(instances.length).toBeGreaterThan(2)
    expect(JSON.stringify([instances, restored.instances])).not.toContain('SECRET')
    for (const [name, { bytes }] of world.control.objects)
      expect(Buffer.from(bytes).toString('latin1'), name).not.toContain('SECRET')
  })

  it('is full with the reason where the platform cannot compare', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    await backUp(world, 0)
    world.platform.canDiff = false
    expect((await backUp(world, 1)).outcome).toMatchObject({ kind: 'completed' })
    expect((await latest(world)).disks).toMatchObject([
      { transfer: 'full', fullReason: 'diff-unsupported' },
      { fullReason: 'diff-unsupported' },
    ])
    world.platform.canDiff = true
    world.platform.family = 'another family'
    await backUp(world, 2)
    expect((await latest(world)).disks).toMatchObject([
      { fullReason: 'different-family' },
      { fullReason: 'different-family' },
    ])
    expect((await latest(world)).baseRecoveryPointId).toBeNull()
  })

  it('is full with the reason where the base is gone or the disk is another one', async () => {
    const world = fakeWorld()
    await backUp(world, 0)
    world.platform.copies.clear()
    await backUp(world, 1)
    expect((await latest(world)).disks[0]).toMatchObject({ transfer: 'full', fullReason: 'base-gone' })
    const vm = world.platform.vms[0]!
    world.platform.vms = [{ ...vm, disks: vm.disks.map((disk) => ({ ...disk, uniqueId: `new-${disk.disk}` })) }]
    await backUp(world, 2)
    expect((await latest(world)).disks[0]).toMatchObject({ transfer: 'full', fullReason: 'disk-recreated' })
  })

  it('waits while source or access are pending, and while reads are throttled', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    const pending = { kind: 'pending', retryAfterSeconds: 3 }
    world.platform.answers
      .set('ensure', [pending, pending])
      .set('grantRead', [pending])
      .set('revoke', [pending])
      .set('release', [pending])
    world.platform.readFaults.push(new SourceError({ code: 'throttled', retryAfterSeconds: 4 }))
    const { outcome, calls } = await backUp(world, 0)
    expect(outcome).toMatchObject({ kind: 'completed' })
    expect(calls.filter((call) => call === 'timer').length).toBe(5)
    expect(world.platform.restorePointsMade).toBe(1)
  })

  it('ends step by step, to the same recovery point, where an instance of version 0.1 goes on under this one', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    await backUp(world, 0)
    const before = await latest(world)
    const claim = await start(world, 'day 1', '2026-03-11T02:00:00.000Z')
    const { job, token } = claim
    const { startedAt: _, ...older } = (await readClaim(world.control, job))!.claim
    await world.control.put(`claims/${vmKey}`, encodeJson(older))
    await world.control.put(`jobs/${job.jobId}`, encodeJson({ job, startedAt: 'then', attempts: 1, outcome: null }))
    const { calls, outcome } = await runJob(world, claim, undefined, { job, token })
    expect(calls).toEqual(expect.arrayContaining(['takeRestorePoint', 'sealDisk', 'commitRecoveryPoint', 'finishJob']))
    expect(calls).not.toContain('concludeBackup')
    expect(outcome).toMatchObject({ kind: 'completed', summary: { disks: [{ changedBytes: 0 }, { changedBytes: 0 }] } })
    expect((await latest(world)).disks.map(({ stack }) => stack)).toEqual(before.disks.map(({ stack }) => stack))
    expect(await readJobRecord(world.control, job.jobId)).toMatchObject({ outcome: { kind: 'completed' } })
  })

  it('asks for access anew where it ended in the middle', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    world.platform.readFaults.push(new SourceError({ code: 'access-ended' }))
    expect((await backUp(world, 0)).outcome).toMatchObject({ kind: 'completed' })
  })

  it('fails with the reason of the disk, keeps slices and base, and takes the base next time', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    await backUp(world, 0)
    const before = await latest(world)
    write(world, 'os', [4], 'y')
    const claim = await start(world, 'broken', '2026-03-11T02:00:00.000Z')
    const broken = await runJob(world, claim, (activity, input) => {
      if (activity === 'transferSlice' && (input as { disk: string }).disk === 'os')
        world.platform.readFaults.push(new SourceError({ code: 'gone' }))
    })
    expect(broken.outcome).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/^source-gone/),
      hint: expect.any(String),
    })
    expect(await latest(world)).toEqual(before)
    expect([...world.platform.live]).toEqual([])
    await backUp(world, 2)
    expect((await latest(world)).disks[0]).toMatchObject({ transfer: 'incremental', changedBytes: 4096 })
  })

  it('refuses a VM with a disk that cannot be backed up, and one without disks', async () => {
    const world = fakeWorld()
    const vm = world.platform.vms[0]!
    world.platform.vms = [{ ...vm, unsupported: [{ disk: 'lun-1', reason: 'Ultra disk' }] }]
    expect((await backUp(world, 0)).outcome).toMatchObject({
      kind: 'failed',
      reason: 'unsupported-disk',
      message: expect.stringContaining('lun-1 (Ultra disk)'),
    })
    world.platform.vms = []
    expect((await backUp(world, 1)).outcome).toMatchObject({ kind: 'failed', reason: 'vm-not-found' })
    expect(await readClaim(world.control, sampleJob())).toBeNull()
  })

  it('obeys a cancel between slices, commits nothing and ends as cancelled', async () => {
    const world = fakeWorld()
    write(world, 'os', [3, 600, 1000], 'x')
    const claim = await start(world, 'cancelled', '2026-03-10T02:00:00.000Z')
    const instances = fakeInstances()
    const { outcome } = await runJob(world, claim, async (activity) => {
      if (activity === 'transferSlice') await cancelJob({ ...world, instances }, claim.job.jobId)
    })
    expect(outcome).toMatchObject({
      kind: 'cancelled',
      disks: [{ disk: 'os', kind: 'stopped', reason: 'cancelled' }, {}],
    })
    expect(instances.cancelled).toContain(`${claim.job.jobId}.1`)
    expect(await latestRecoveryPoint(world.vault, vmKey)).toBeNull()
    expect([...world.platform.live]).toEqual([])
    expect(await cancelJob({ ...world, instances }, claim.job.jobId)).toMatchObject({ kind: 'ended' })
  })
})

describe('the next attempt', () => {
  const steps = [
    'planBackup',
    'takeRestorePoint',
    'planDisk',
    'transferSlice',
    'sealDisk',
    'concludeBackup',
    'closeSources',
    'releaseRestorePoints',
    'finishJob',
  ]
  it.each(steps)(
    'goes on where the platform ended the first one before %s: same restore point, no slice moved twice',
    async (activity) => {
      const world = fakeWorld()
      write(world, 'os', [3, 600, 1000], 'x')
      // A platform that takes its time makes a step of its own of everything.
      const pending = { kind: 'pending', retryAfterSeconds: 3 }
      world.platform.answers.set('ensure', [pending]).set('revoke', [pending])
      const instances = fakeInstances()
      await startJob({ ...world, instances }, sampleJob())
      const first = world.vault.reopen()
      let isDead = false
      await runJob({ ...world, vault: first }, instances.started[0]!, (name) => {
        isDead ||= name === activity
        if (isDead) throw new Error('the worker is gone')
      })
      expect(isDead).toBe(true)
      const moved = first.calls
        .filter(({ operation, name }) => operation === 'create' && name.startsWith('slices/'))
        .map(({ name }) => name)
      expect(moved.length > 0).toBe(steps.indexOf(activity) > steps.indexOf('transferSlice'))
      instances.statuses.set(`${sampleJob().jobId}.1`, { state: 'ended', runtimeStatus: 'Failed', customStatus: null })
      await supervise({ ...world, instances, attemptsMax: 5 })
      const { outcome } = await runJob(world, instances.started[1]!)
      expect(outcome).toMatchObject({ kind: 'completed', recoveryPointId: sampleJob().recoveryPointId })
      expect(world.platform.restorePointsMade).toBe(1)
      const again = world.vault.calls.filter(({ operation, name }) => operation === 'create' && moved.includes(name))
      expect(again).toEqual([])
      expect([...world.platform.live]).toEqual([])
      expect(await readJobRecord(world.control, sampleJob().jobId)).toMatchObject({
        attempts: 2,
        outcome: { kind: 'completed' },
      })
    },
  )

  it('takes the plan and the copies that a late first step of the attempt before has made', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    const instances = fakeInstances()
    await startJob({ ...world, instances }, sampleJob())
    instances.statuses.set(`${sampleJob().jobId}.1`, { state: 'ended', runtimeStatus: 'Failed', customStatus: null })
    await supervise({ ...world, instances, attemptsMax: 5 })
    const late = await runJob(world, instances.started[0]!)
    expect(late.outcome).toMatchObject({
      kind: 'failed',
      disks: [{ reason: expect.stringMatching(/^superseded/) }, {}],
    })
    expect(await readJobRecord(world.control, sampleJob().jobId)).toMatchObject({ outcome: null })
    expect((await runJob(world, instances.started[1]!)).outcome).toMatchObject({ kind: 'completed' })
    expect(world.platform.restorePointsMade).toBe(1)
    expect(world.platform.live.size).toBe(0)
  })

  it('keeps a step of the first attempt that comes late, behind the end of the job, from doing anything', async () => {
    const world = fakeWorld()
    write(world, 'os', [3], 'x')
    const instances = fakeInstances()
    await startJob({ ...world, instances }, sampleJob())
    instances.statuses.set(`${sampleJob().jobId}.1`, {
      state: 'ended',
      runtimeStatus: 'Terminated',
      customStatus: null,
    })
    const { vms } = world.platform
    const other = { ...world, vault: world.vault.reopen(), control: world.control.reopen() }
    world.control.pause = async ({ operation, name }) => {
      if (operation !== 'create' || !name.endsWith('/vm.json')) return
      world.control.pause = async () => undefined
      world.platform.vms = []
      await supervise({ ...other, instances, attemptsMax: 5 })
      await runJob(other, instances.started[1]!)
      world.platform.vms = vms
      expect(await readJobRecord(other.control, sampleJob().jobId)).toMatchObject({
        outcome: { reason: 'vm-not-found' },
      })
    }
    const late = await runJob(world, instances.started[0]!)
    expect(late.outcome).toMatchObject({ kind: 'failed', reason: 'superseded' })
    expect(world.platform.restorePointsMade).toBe(0)
    expect([...world.platform.copies.keys()]).toEqual([])
  })
})

describe('the status of a job', () => {
  it('puts record, claim, instance and disks together', async () => {
    const world = fakeWorld()
    write(world, 'os', [3, 600, 1000], 'x')
    const instances = fakeInstances()
    const deps = { ...world, instances }
    await startJob(deps, sampleJob())
    const { jobId } = sampleJob()
    expect(await jobStatus(deps, jobId)).toMatchObject({
      state: 'running',
      phase: 'plan',
      percent: 0,
      expectedEndAt: null,
      attempt: 1,
    })
    await planVmBackup(world, { job: sampleJob(), token: instances.started[0]!.token })
    const shown = (customStatus: unknown) => ({ state: 'running' as const, runtimeStatus: 'Running', customStatus })
    const disk = {
      phase: 'transfer',
      transfer: 'full',
      sizeBytes: 4 * mib,
      slices: 4,
      lanes: 0,
      slicesDone: 1,
      readBytes: 9,
      storedBytes: 5,
    }
    instances.statuses.set(
      `${jobId}.1`,
      shown({ phase: 'transfer', deadline: null, disks: 2, consistency: 'crash', stopping: null }),
    )
    const unplanned = { ...disk, phase: 'plan', transfer: null, sizeBytes: 0, totalBytes: 0, doneBytes: 0 }
    instances.statuses.set(`${jobId}.1:disk-os`, shown(unplanned))
    expect(await jobStatus(deps, jobId)).toMatchObject({ percent: 0, disks: [{ phase: 'plan', percent: 0 }, {}] })
    instances.statuses.set(`${jobId}.1:disk-os`, shown({ ...unplanned, phase: 'ended', sizeBytes: 4 * mib }))
    expect(await jobStatus(deps, jobId)).toMatchObject({ percent: 0, disks: [{ phase: 'ended', percent: 100 }, {}] })
    instances.statuses.set(`${jobId}.1:disk-os`, shown({ ...disk, totalBytes: 100, doneBytes: 20 }))
    instances.statuses.set(
      `${jobId}.1:disk-lun-0`,
      shown({ ...disk, totalBytes: 300, doneBytes: 0, slicesDone: 0, lanes: 2 }),
    )
    instances.statuses.set(
      `${jobId}.1:disk-lun-0:lane-0`,
      shown({ slicesDone: 2, doneBytes: 50, readBytes: 1, storedBytes: 1 }),
    )
    instances.statuses.set(
      `${jobId}.1:disk-lun-0:lane-1`,
      shown({ slicesDone: 1, doneBytes: 30, readBytes: 1, storedBytes: 1 }),
    )
    world.clock.advance(60_000)
    const status = (await jobStatus(deps, jobId))!
    expect(status).toMatchObject({
      phase: 'transfer',
      percent: 25,
      disks: [
        { disk: 'os', percent: 20 },
        { disk: 'lun-0', doneBytes: 80, slicesDone: 3 },
      ],
    })
    expect(Date.parse(status.expectedEndAt!) - world.clock.now().getTime()).toBe(180_000)
  })

  it('counts the slice that is being moved, and leaves no note of it', async () => {
    const world = fakeWorld()
    write(world, 'os', [3, 100, 200, 255], 'x')
    const instances = fakeInstances()
    const deps = { ...world, instances }
    await startJob(deps, sampleJob())
    const noted: string[] = []
    const put = world.control.put
    world.control.put = async (name, body) => {
      noted.push(name)
      await put(name, body)
      if (!name.startsWith('progress/')) return
      const disk = {
        phase: 'transfer',
        transfer: 'full',
        sizeBytes: 4 * mib,
        totalBytes: 16_384,
        slices: 1,
        lanes: 0,
        slicesDone: 0,
        doneBytes: 0,
        readBytes: 0,
        storedBytes: 0,
      }
      instances.statuses.set(`${sampleJob().jobId}.1:disk-os`, {
        state: 'running',
        runtimeStatus: 'Running',
        customStatus: disk,
      })
      expect((await jobStatus(deps, sampleJob().jobId))!.disks[0]).toMatchObject({
        disk: 'os',
        slicesDone: 0,
        doneBytes: 16_384,
        percent: 100,
      })
    }
    await runJob(world, instances.started[0]!)
    expect(noted).toEqual([expect.stringMatching(/^progress\/.*\/os\/000000$/)])
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('progress/'))).toEqual([])
  })

  it('is what the record says once the job has ended, and null for a job that never was', async () => {
    const world = fakeWorld()
    await backUp(world, 0)
    const deps = { ...world, instances: fakeInstances() }
    expect(await jobStatus(deps, sampleJob('day 0').jobId)).toMatchObject({
      state: 'completed',
      phase: 'ended',
      percent: 100,
    })
    expect(await jobStatus(deps, 'backup-nothing')).toBeNull()
  })
})
