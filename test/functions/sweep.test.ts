import { describe, expect, it, vi } from 'vitest'
import { sweepWith } from '../../functions/sweep.ts'
import { refOf } from '../../shared/domain/job-ref.ts'
import { finishJob } from '../../shared/jobs/finish-job.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { fakeInstances, fakeWorld, sampleVm, vmId } from '../jobs/world.ts'

const daily = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
}
const hour = 3_600_000

const app = async (...documents: readonly (object & { name: string })[]) => {
  const world = fakeWorld()
  const instances = fakeInstances()
  for (const document of documents) await world.control.put(`policies/${document.name}.json`, encodeJson(document))
  const logged: string[] = []
  const line = (...parts: unknown[]) => void logged.push(parts.join(' '))
  const deps = { ...world, instances, subscriptionIds: ['s'], windowHours: 24, attemptsMax: 5 }
  const sweep = () => sweepWith(deps, { log: line, warn: line, error: line })
  const endAll = async () => {
    for (const claim of instances.started)
      await finishJob(world, {
        ...refOf(claim),
        outcome: { kind: 'failed', reason: 'r', message: 'm', hint: 'h', disks: [] },
      })
  }
  return { world, instances, sweep, logged, deps, endAll }
}

describe('the sweep', () => {
  it('starts each VM of a policy once for a slot, however often it runs', async () => {
    const { sweep, instances, world, endAll } = await app(daily)
    world.platform.vms.push(sampleVm(vmId.replace('web-1', 'web-2')), {
      ...sampleVm(vmId.replace('web-1', 'dev-1')),
      tags: {},
    })
    await Promise.all([sweep(), sweep()])
    await sweep()
    expect(instances.started.map(({ job }) => (job.kind === 'backup' ? job.vmId.slice(-5) : '')).sort()).toEqual([
      'web-1',
      'web-2',
    ])
    expect(instances.started[0]!.job).toMatchObject({ trigger: 'schedule', policy: 'daily' })
    await endAll()
    await sweep()
    expect(instances.started).toHaveLength(2)
    world.clock.advance(24 * hour)
    await sweep()
    expect(instances.started).toHaveLength(4)
  })

  it('starts a VM that is busy later, and not after a day', async () => {
    const other = { ...daily, name: 'other' }
    const { sweep, instances, world, logged, endAll } = await app(daily, other)
    await sweep()
    expect(instances.started).toHaveLength(1)
    expect(logged.join()).toContain('jobRefused: ')
    world.clock.advance(5 * hour)
    await endAll()
    await sweep()
    expect(instances.started.map(({ job }) => job.kind === 'backup' && job.policy)).toEqual(['daily', 'other'])
  })

  it('describes a VM to start it, and not again while its slot is started or another job holds it', async () => {
    const { sweep, world, instances } = await app(daily, { ...daily, name: 'other' })
    const upper = vmId.replace('web-1', 'WEB-2')
    world.platform.vms.push(sampleVm(upper))
    await sweep()
    expect([...world.platform.described].sort()).toEqual([upper, vmId])
    await sweep()
    expect(world.platform.described).toHaveLength(2)
    expect(instances.started).toHaveLength(2)
  })

  it('goes on with the other policies where one is broken or cannot list its VMs', async () => {
    const { sweep, instances, logged, deps } = await app(
      { name: 'a-broken', schedule: 5 } as never,
      { ...daily, name: 'b-no-list' },
      daily,
    )
    const select = deps.inventory.select
    let lists = 0
    deps.inventory.select = (selection) => {
      if (lists++ === 0) throw new Error('403 at https://management.invalid?sig=SECRET')
      return select(selection)
    }
    await sweep()
    expect(instances.started).toHaveLength(1)
    expect(logged.join('\n')).toMatch(/a-broken: selection.*b-no-list: The VMs/s)
  })

  it('looks after running jobs before it starts new ones', async () => {
    const { sweep, instances } = await app(daily)
    await sweep()
    const { job } = instances.started[0]!
    instances.statuses.set(`${job.jobId}.1`, { state: 'ended', runtimeStatus: 'Failed', customStatus: null })
    await sweep()
    expect(instances.started.map(({ attempt }) => attempt)).toEqual([1, 2])
  })

  it('starts nothing where no policy is due', async () => {
    const { sweep, instances } = await app({
      ...daily,
      schedule: { kind: 'weekly', days: ['friday'], times: ['02:00'], timeZone: 'UTC' },
    } as never)
    await sweep()
    expect(instances.started).toEqual([])
  })

  it('starts what is due without waiting for the progress of running jobs', async () => {
    const { sweep, instances, world } = await app(daily)
    await sweep()
    const { job, token } = instances.started[0]!
    if (job.kind !== 'backup') throw new Error('a sweep starts backups')
    await planVmBackup(world, { job, token })
    world.platform.vms.push(sampleVm(vmId.replace('web-1', 'web-2')))
    const { status } = instances
    let answer = (): void => undefined
    const held = new Promise<void>((resolve) => {
      answer = resolve
    })
    let asked = 0
    instances.status = async (id) => {
      if (!id.includes(':disk-')) return status(id)
      asked += 1
      await held
      return null
    }
    const sweeping = sweep()
    await vi.waitFor(() => expect(asked).toBeGreaterThan(0))
    expect(instances.started).toHaveLength(2)
    answer()
    await sweeping
  })

  it('warns of a window before it is missed', async () => {
    const { sweep, instances, world, logged } = await app(daily)
    await sweep()
    const { job, token } = instances.started[0]!
    if (job.kind !== 'backup') throw new Error('a sweep starts backups')
    await planVmBackup(world, { job, token })
    const shown = {
      phase: 'transfer',
      transfer: 'full',
      sizeBytes: 100,
      totalBytes: 100,
      slices: 1,
      lanes: 0,
      slicesDone: 0,
      readBytes: 0,
      storedBytes: 0,
    }
    for (const disk of ['os', 'lun-0'])
      instances.statuses.set(`${job.jobId}.1:disk-${disk}`, {
        state: 'running',
        runtimeStatus: 'Running',
        customStatus: { ...shown, doneBytes: 10 },
      })
    world.clock.advance(2 * hour)
    await sweep()
    expect(logged.join('\n')).not.toContain('windowAtRisk')
    world.clock.advance(2 * hour)
    await sweep()
    expect(logged.join('\n')).toContain('windowAtRisk')
  })
})
