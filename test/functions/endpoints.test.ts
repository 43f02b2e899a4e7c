import { describe, expect, it } from 'vitest'
import { cancelRunningJob, getJob, listJobs } from '../../functions/http/jobs.ts'
import { resumeEndedJob } from '../../functions/http/resume-job.ts'
import { startBackup } from '../../functions/http/start-backup.ts'
import { startRestore } from '../../functions/http/start-restore.ts'
import { listVmRecoveryPoints, listVms } from '../../functions/http/vms.ts'
import { isId, vmKeyOf } from '../../shared/domain/ids.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { stopReasonOf } from '../../shared/jobs/stop.ts'
import { runJob } from '../jobs/run-job.ts'
import { fakeInstances, fakeWorld, sampleVm, vmId } from '../jobs/world.ts'
import { ask } from './call-endpoint.ts'

const { vmKey } = sampleVm()
const otherId = vmId.replace('web-1', 'web-2')
const daily = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
  excludedDisks: ['lun-0'],
}

const app = () => {
  const world = fakeWorld()
  const instances = fakeInstances()
  const policy = (document: object, name = 'daily') => world.control.put(`policies/${name}.json`, encodeJson(document))
  return { world, instances, policy }
}

describe('GET vms', () => {
  it('names a VM that is gone from the platform, with its key and what can be restored', async () => {
    const { world, instances, policy } = app()
    await policy(daily)
    await ask(startBackup, world, instances, { body: { vmId } })
    await runJob(world, instances.started[0]!)
    world.platform.vms.length = 0
    const { body } = await ask(listVms, world, instances, { method: 'GET' })
    const { jobId } = instances.started[0]!.job
    expect(body).toMatchObject({ vms: [], notSelected: [{ vmKey, vmId, name: 'web-1', lastRecoveryPoint: { jobId } }] })
  })
})

describe('POST backups', () => {
  it('starts a backup of one VM and answers where to look', async () => {
    const { world, instances } = app()
    const { status, headers, body, told } = await ask(startBackup, world, instances, {
      body: { vmId: vmId.toUpperCase().replace('MICROSOFT.COMPUTE', 'Microsoft.Compute') },
    })
    expect(status).toBe(202)
    const jobId = String(body.jobId)
    expect(isId(jobId)).toBe(true)
    expect(body).toMatchObject({
      instanceId: `${jobId}.1`,
      vmKey,
      statusUrl: `http://app.invalid/api/jobs/${jobId}`,
      statusQueryGetUri: expect.stringContaining(jobId),
    })
    expect(headers).toMatchObject({ location: body.statusQueryGetUri, 'retry-after': '10' })
    expect(instances.started).toMatchObject([
      { attempt: 1, job: { jobId, vmId, trigger: 'onDemand', policy: null, source: 'restorePoints' } },
    ])
    expect(told).toEqual([expect.stringMatching(/^jobStarted: /)])
    expect(JSON.stringify(body)).not.toContain('KEY')
  })

  it('tells a second caller which job holds the VM', async () => {
    const { world, instances } = app()
    const [first, second] = await Promise.all([1, 2].map(() => ask(startBackup, world, instances, { body: { vmId } })))
    const [winner, other] = first!.status === 202 ? [first, second] : [second, first]
    expect(other).toMatchObject({
      status: 409,
      body: {
        type: 'urn:deltavault:problem:job-running',
        runningJobId: winner!.body.jobId,
        statusUrl: winner!.body.statusUrl,
      },
    })
    expect(instances.started).toHaveLength(1)
  })

  it('starts the other VMs of a selection where the start of one fails, and names that one without its secrets', async () => {
    const { world, instances } = app()
    world.platform.vms.push(sampleVm(otherId))
    const { start } = instances
    instances.start = async (claim) => {
      if (claim.job.vmKey === vmKey) throw new Error('the engine does not answer ?sig=SECRET')
      return start(claim)
    }
    const { status, body } = await ask(startBackup, world, instances, { body: { selection: {} } })
    expect(status).toBe(202)
    expect(body).toMatchObject({
      jobs: [{ vmId: otherId }],
      busy: [],
      failed: [{ vmId, vmKey, code: 'not-started', reason: expect.stringContaining('does not answer') }],
    })
    expect(JSON.stringify(body)).not.toContain('SECRET')
    expect(await ask(startBackup, fakeWorld(), instances, { body: { selection: {} } })).toMatchObject({ status: 500 })
  })

  it('starts a backup of each VM of a selection, and names those that are busy', async () => {
    const { world, instances } = app()
    world.platform.vms.push(sampleVm(otherId))
    const { body: one } = await ask(startBackup, world, instances, { body: { vmId } })
    const { status, body } = await ask(startBackup, world, instances, {
      body: { selection: { tags: { backup: 'daily' } } },
    })
    expect(status).toBe(202)
    expect(body).toMatchObject({ jobs: [{ vmId: otherId }], busy: [{ vmId, runningJobId: one.jobId }] })
    expect(await ask(startBackup, world, instances, { body: { selection: {} } })).toMatchObject({
      status: 409,
      body: { busy: [{}, {}] },
    })
  })

  it('starts a backup by a policy, with the policy’s choices or others', async () => {
    const { world, instances, policy } = app()
    await policy(daily)
    await ask(startBackup, world, instances, { body: { policy: 'daily', consistency: 'crash' } })
    expect(instances.started[0]!.job).toMatchObject({
      policy: 'daily',
      trigger: 'onDemand',
      excludedDisks: ['lun-0'],
      consistency: 'crash',
    })
  })

  it('holds a full transfer to a window that the request names, and to no policy’s', async () => {
    const { world, instances, policy } = app()
    await policy({ ...daily, windowHours: 8 })
    await ask(startBackup, world, instances, { body: { policy: 'daily' } })
    world.platform.vms = [sampleVm(otherId)]
    await ask(startBackup, world, instances, { body: { policy: 'daily', windowHours: 6 } })
    const windows = instances.started.map(
      ({ job }) => job.kind === 'backup' && [job.windowFor, job.deadline.slice(11, 13)],
    )
    expect(windows).toEqual([
      ['increments', '10'],
      ['everything', '08'],
    ])
  })

  it('says what is wrong with a policy’s document', async () => {
    const { world, instances, policy } = app()
    await policy({ ...daily, schedule: { ...daily.schedule, timeZone: 'Mars/Olympus' } })
    const { status, body } = await ask(startBackup, world, instances, { body: { policy: 'daily' } })
    expect(status).toBe(422)
    expect(body.detail).toMatch(/schedule\.timeZone/)
  })

  it('answers what nobody expected with a problem that names the invocation, and logs it without secrets', async () => {
    const { world, instances } = app()
    instances.start = async () => {
      throw new Error('no answer from http://host/orchestrators?code=SECRET&x=1')
    }
    const { status, body, logged } = await ask(startBackup, world, instances, { body: { vmId } })
    expect(status).toBe(500)
    expect(body.detail).toContain('i-1')
    expect(logged).toHaveLength(1)
    expect(JSON.stringify([body, logged])).not.toContain('SECRET')
  })
})

describe('jobs', () => {
  it('are shown, listed and cancelled', async () => {
    const { world, instances } = app()
    const { body } = await ask(startBackup, world, instances, { body: { vmId } })
    const jobId = String(body.jobId)
    const params = { jobId }
    expect(await ask(getJob, world, instances, { method: 'GET', params })).toMatchObject({
      status: 200,
      body: { jobId, state: 'running' },
    })
    expect(await ask(listJobs, world, instances, { method: 'GET' })).toMatchObject({
      status: 200,
      body: { jobs: [{ jobId, state: 'running', statusUrl: body.statusUrl }] },
    })
    const cancelled = await ask(cancelRunningJob, world, instances, { path: `jobs/${jobId}/cancel`, params })
    expect(cancelled).toMatchObject({ status: 202, body: { jobId, stopping: 'cancelled', statusUrl: body.statusUrl } })
    expect(await stopReasonOf(world.control, { jobId, vmKey })).toBe('cancelled')
    expect(instances.cancelled).toEqual([`${jobId}.1`])
  })

  it('that have ended are not cancelled', async () => {
    const { world, instances } = app()
    await ask(startBackup, world, instances, { body: { vmId } })
    await runJob(world, instances.started[0]!)
    const params = { jobId: instances.started[0]!.job.jobId }
    expect(await ask(cancelRunningJob, world, instances, { params })).toMatchObject({ status: 409 })
    expect(await stopReasonOf(world.control, { ...params, vmKey })).toBeNull()
    expect(await ask(getJob, world, instances, { method: 'GET', params })).toMatchObject({
      body: { state: 'completed', outcome: { kind: 'completed' } },
    })
  })
})

describe('VMs and recovery points', () => {
  it('are listed, and restored into disks with names of their own', async () => {
    const { world, instances, policy } = app()
    await policy(daily)
    await policy({ ...daily, name: 'weekly' }, 'weekly')
    await policy({}, 'broken')
    await ask(startBackup, world, instances, { body: { vmId } })
    await runJob(world, instances.started[0]!)

    const vms = await ask(listVms, world, instances, { method: 'GET' })
    expect(vms.body).toMatchObject({
      vms: [
        { vmKey, vmId, policies: ['daily', 'weekly'], lastRecoveryPoint: { jobId: instances.started[0]!.job.jobId } },
      ],
      problems: [
        {
          policy: 'broken',
          code: 'policy-invalid',
          reason: expect.stringContaining('selection'),
          hint: expect.stringContaining('Correct'),
        },
      ],
    })

    expect(vms.body.notSelected).toEqual([])

    const points = await ask(listVmRecoveryPoints, world, instances, { method: 'GET', params: { vmKey } })
    expect(points.body).toMatchObject({
      vmKey,
      recoveryPoints: [{ consistentAcrossDisks: true, disks: [{ disk: 'os', transfer: 'full' }, { disk: 'lun-0' }] }],
    })

    const restore = await ask(startRestore, world, instances, { body: { vmKey, recoveryPointId: 'latest' } })
    expect(restore.status).toBe(202)
    const disks = restore.body.disks as { disk: string; targetDiskId: string }[]
    expect(disks.map(({ disk }) => disk)).toEqual(['os', 'lun-0'])
    for (const { targetDiskId } of disks)
      expect(targetDiskId).toMatch(
        /\/resourceGroups\/rg\/providers\/Microsoft\.Compute\/disks\/web-1-(os|lun-0)-2026\w+-[0-9a-f]{10}$/,
      )
  })

  it('of a deleted VM can still be restored, one disk of them, into a group and region that is named', async () => {
    const { world, instances } = app()
    await ask(startBackup, world, instances, { body: { vmId } })
    await runJob(world, instances.started[0]!)
    world.platform.vms = []
    const group = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/other'
    const { recoveryPointId } = instances.started[0]!.job
    const body = {
      vmKey: vmKeyOf(vmId),
      recoveryPointId,
      disks: [{ disk: 'lun-0' }],
      targetResourceGroupId: group,
      location: 'northeurope',
    }
    const restore = await ask(startRestore, world, instances, { body })
    expect(restore.body).toMatchObject({
      recoveryPointId,
      disks: [{ disk: 'lun-0', targetDiskId: expect.stringMatching(new RegExp(`^${group}/`)) }],
    })
    expect(instances.started[1]!.job).toMatchObject({ kind: 'restore', location: 'northeurope' })
    const [{ targetDiskId }] = restore.body.disks as [{ targetDiskId: string }]
    const status = async () =>
      (await ask(getJob, world, instances, { method: 'GET', params: { jobId: String(restore.body.jobId) } })).body
    const targets = [{ disk: 'lun-0', targetDiskId }]
    expect(await status()).toMatchObject({ state: 'running', targets, disks: targets, outcome: null })
    expect((await runJob(world, instances.started[1]!)).outcome).toMatchObject({ kind: 'completed' })
    expect(await status()).toMatchObject({ state: 'completed', targets, outcome: { summary: { disks: targets } } })
  })

  it('name the new disks, and code, reason and hint apart, where a restore failed', async () => {
    const { world, instances } = app()
    await ask(startBackup, world, instances, { body: { vmId } })
    await runJob(world, instances.started[0]!)
    const restore = await ask(startRestore, world, instances, { body: { vmKey, recoveryPointId: 'latest' } })
    const refusal = { kind: 'failed', reason: 'disk-exists', message: 'It is there: another.', hint: 'Name another.' }
    world.platform.answers.set('open', [refusal])
    await runJob(world, instances.started[1]!)
    const { body } = await ask(getJob, world, instances, {
      method: 'GET',
      params: { jobId: String(restore.body.jobId) },
    })
    const targets = restore.body.disks as { disk: string; targetDiskId: string }[]
    expect(body).toMatchObject({
      state: 'failed',
      targets,
      outcome: { kind: 'failed', code: 'disk-exists', reason: expect.stringContaining('It is there: another.') },
    })
    const { body: list } = await ask(listJobs, world, instances, { method: 'GET' })
    const jobs = list.jobs as { kind: string; code: string | null; hint: string | null }[]
    expect(jobs.find(({ kind }) => kind === 'restore')).toMatchObject({ code: 'disk-exists', hint: 'Name another.' })
    expect(jobs.find(({ kind }) => kind === 'backup')).toMatchObject({ code: null, reason: null, hint: null })
    const { disks, hint } = body.outcome as { disks: Record<string, unknown>[]; hint: string }
    expect(hint).toBe('Name another.')
    expect(disks.map(({ disk, targetDiskId }) => ({ disk, targetDiskId }))).toEqual(targets)
    const told = disks.map(({ code, reason, hint }) => ({ code, reason, hint }))
    expect(told).toContainEqual({ code: 'disk-exists', reason: 'It is there: another.', hint: 'Name another.' })
    expect(told).toContainEqual({ code: null, reason: null, hint: null })
  })

  it('name all disks at the head of a restore that failed for more than one', async () => {
    const { world, instances } = app()
    await ask(startBackup, world, instances, { body: { vmId } })
    await runJob(world, instances.started[0]!)
    const restore = await ask(startRestore, world, instances, { body: { vmKey, recoveryPointId: 'latest' } })
    const refused = (reason: string) => ({ kind: 'failed', reason, message: `It is ${reason}.`, hint: 'Look.' })
    world.platform.answers.set('open', [refused('disk-exists'), refused('platform-limit')])
    await runJob(world, instances.started[1]!)
    const params = { jobId: String(restore.body.jobId) }
    const { body } = await ask(getJob, world, instances, { method: 'GET', params })
    const { reason, disks } = body.outcome as {
      reason: string
      disks: { disk: string; code: string; reason: string }[]
    }
    expect(reason).toMatch(/^2 of 2 disks failed \(os, lun-0\)/)
    expect(disks.map(({ code, reason }) => [code, reason]).sort()).toEqual([
      ['disk-exists', 'It is disk-exists.'],
      ['platform-limit', 'It is platform-limit.'],
    ])
  })

  it('cannot be restored into one target twice, nor by a disk that is not there', async () => {
    const { world, instances } = app()
    await ask(startBackup, world, instances, { body: { vmId } })
    await runJob(world, instances.started[0]!)
    const targetDiskId = sampleVm().disks[0]!.diskId.replace('web-1-os', 'new-disk')
    const twice = {
      vmKey,
      recoveryPointId: 'latest',
      disks: [
        { disk: 'os', targetDiskId },
        { disk: 'lun-0', targetDiskId: targetDiskId.toUpperCase().replace('MICROSOFT.COMPUTE', 'Microsoft.Compute') },
      ],
    }
    expect(await ask(startRestore, world, instances, { body: twice })).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'disks.1.targetDiskId' }] },
    })
    const absent = { vmKey, recoveryPointId: 'latest', disks: [{ disk: 'lun-7', targetDiskId }] }
    expect(await ask(startRestore, world, instances, { body: absent })).toMatchObject({
      status: 404,
      body: { errors: [{ field: 'disks.0.disk' }] },
    })
  })
})

describe('POST resume', () => {
  it('lets a cancelled backup go on, and says where to look', async () => {
    const { world, instances } = app()
    world.platform.disks.get('os')!.fill('x')
    const { body } = await ask(startBackup, world, instances, { body: { vmId } })
    const params = { jobId: String(body.jobId) }
    const resume = () => ask(resumeEndedJob, world, instances, { params, path: `jobs/${params.jobId}/resume` })
    expect(await resume()).toMatchObject({ status: 409, body: { type: 'urn:deltavault:problem:job-not-ended' } })
    await runJob(world, instances.started[0]!, async (activity) => {
      if (activity === 'transferSlice') await ask(cancelRunningJob, world, instances, { params })
    })
    const resumed = await resume()
    expect(resumed).toMatchObject({
      status: 202,
      headers: { 'retry-after': '10' },
      body: {
        jobId: params.jobId,
        instanceId: `${params.jobId}.2`,
        attempt: 2,
        statusUrl: `http://app.invalid/api/jobs/${params.jobId}`,
        statusQueryGetUri: expect.stringContaining(`${params.jobId}.2`),
      },
      told: [expect.stringMatching(/^jobTakenUp: .*ended as cancelled/)],
    })
    expect((await runJob(world, instances.started[1]!)).outcome).toMatchObject({ kind: 'completed' })
    expect(await resume()).toMatchObject({
      status: 410,
      body: { errors: [{ field: 'jobId', fix: expect.stringMatching(/new backup/) }] },
    })
  })

  it('knows no job that was never started', async () => {
    const { world, instances } = app()
    expect(await ask(resumeEndedJob, world, instances, { params: { jobId: 'backup-none' } })).toMatchObject({
      status: 404,
    })
  })
})
