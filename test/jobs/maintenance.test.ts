import { describe, expect, it } from 'vitest'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { scrubWithinBudget } from '../../shared/jobs/maintenance/scrub-vault.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { damageOf, writeDamage } from '../../shared/vault/damage-reports.ts'
import { listLiveRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { restoreDisk } from '../support/vault-world.ts'
import { runJob, runMaintenance } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleJob, sampleVm } from './world.ts'

const { vmKey } = sampleVm()
const dayMs = 24 * 3_600_000
const begin = Date.parse('2026-03-10T02:00:00.000Z')

const policy = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
  excludedDisks: [],
  consistency: null,
  source: 'restorePoints',
  windowHours: null,
  retention: { daily: 3, weekly: 2 },
}

interface Day {
  readonly recoveryPointId: string
  readonly os: Buffer
}

/** One backup a day, each after a few pages have changed. */
const backUpDays = async (world: FakeWorld, days: number, from = 0): Promise<readonly Day[]> => {
  const made: Day[] = []
  for (let day = from; day < from + days; day += 1) {
    for (const page of [day % 7, 20 + day, 100])
      world.platform.disks.get('os')!.fill(`day ${day} `, page * 4096, page * 4096 + 4096)
    const instances = fakeInstances()
    const job = sampleJob(`day ${day}`, new Date(begin + day * dayMs).toISOString())
    await startJob({ ...world, instances }, job)
    const { outcome } = await runJob(world, instances.started[0]!)
    expect(outcome?.kind).toBe('completed')
    made.push({ recoveryPointId: job.recoveryPointId, os: Buffer.from(world.platform.disks.get('os')!) })
    world.clock.advance(dayMs)
  }
  return made
}

const worldWithPolicy = async (
  content: object,
): Promise<FakeWorld & { readonly subscriptionIds: readonly string[] }> => {
  const world = { ...fakeWorld(), subscriptionIds: ['00000000-0000-0000-0000-000000000001'] }
  await world.control.put('policies/daily.json', encodeJson(content))
  return world
}

const liveIds = async (world: FakeWorld): Promise<readonly string[]> => {
  const ids: string[] = []
  for await (const { recoveryPoint } of listLiveRecoveryPoints(world.vault, vmKey))
    ids.push(recoveryPoint.recoveryPointId)
  return ids
}

describe('a pass over the vault', { timeout: 60_000 }, () => {
  it('ends what the policy does not keep, folds, removes the rest, and every point that is left restores', async () => {
    const world = await worldWithPolicy(policy)
    const days = await backUpDays(world, 12)
    const before = world.vault.objects.size

    const outcome = await runMaintenance(world, 'pass-1')

    expect(outcome).toMatchObject({ kind: 'completed', problems: [] })
    // Days of March 2026: the 19th to the 21st, and the newest of each of two weeks, the 15th (a Sunday) and the 21st.
    const kept = [5, 9, 10, 11].map((day) => days[day]!.recoveryPointId)
    expect(await liveIds(world)).toEqual(kept)
    expect(outcome.counts).toMatchObject({ expired: 8, damaged: 0 })
    expect(outcome.counts.folded).toBeGreaterThan(3)
    expect(world.vault.objects.size).toBeLessThan(before)
    for (const day of [5, 9, 10, 11])
      for await (const { recoveryPoint } of listLiveRecoveryPoints(world.vault, vmKey))
        if (recoveryPoint.recoveryPointId === days[day]!.recoveryPointId)
          expect((await restoreDisk(world.vault, recoveryPoint, 'os')).equals(days[day]!.os)).toBe(true)

    await runMaintenance(world, 'pass-2')
    const third = await runMaintenance(world, 'pass-3')
    expect(third.counts).toMatchObject({ expired: 0, folded: 0, removed: 0 })
    const [next] = await backUpDays(world, 1, 12)
    expect(await liveIds(world)).toContain(next!.recoveryPointId)
  })

  it('keeps everything where the policy names no retention', async () => {
    const world = await worldWithPolicy({ ...policy, retention: null })
    const days = await backUpDays(world, 5)
    const { counts } = await runMaintenance(world, 'pass-1')
    expect(counts.expired).toBe(0)
    expect(await liveIds(world)).toEqual(days.map(({ recoveryPointId }) => recoveryPointId))
  })

  it('ends nothing while a policy cannot be read, says so, and does the rest', async () => {
    const world = await worldWithPolicy(policy)
    await world.control.put('policies/broken.json', Buffer.from('{'))
    await backUpDays(world, 5)
    const outcome = await runMaintenance(world, 'pass-1')
    expect(outcome).toMatchObject({ kind: 'incomplete', counts: { expired: 0 } })
    expect(outcome.problems).toMatchObject([{ stage: 'expire', reason: 'policy-unreadable' }])
  })

  it('goes on by the policy of its last backup for a VM that is gone', async () => {
    const world = await worldWithPolicy(policy)
    const days = await backUpDays(world, 6)
    for (const name of [...world.control.objects.keys()].filter((one) => one.startsWith('ended-jobs/'))) {
      const record = JSON.parse(Buffer.from(world.control.objects.get(name)!.bytes).toString()) as { job: object }
      await world.control.put(name, encodeJson({ ...record, job: { ...record.job, policy: 'daily' } }))
    }
    world.platform.vms = []
    const { counts } = await runMaintenance(world, 'pass-1')
    expect(counts.expired).toBeGreaterThan(0)
    expect(await liveIds(world)).toContain(days[5]!.recoveryPointId)
  })

  it('counts the indexes that it rebuilt, and leaves nothing on the books of them', async () => {
    const world = await worldWithPolicy({ ...policy, retention: null })
    const [day] = await backUpDays(world, 1)
    world.vault.objects.delete(`layers/${day!.recoveryPointId}/os`)
    const { recoveryPointId } = day!
    const mended = {
      name: `layers/${recoveryPointId}/os`,
      code: 'object-missing',
      vmKey,
      recoveryPoints: 1,
      recoveryPointIds: [recoveryPointId],
    }
    expect(await runMaintenance(world, 'pass-1')).toMatchObject({
      kind: 'completed',
      counts: { damaged: 1, rebuilt: 1 },
      problems: [],
      mended: [mended],
    })
    const next = await runMaintenance(world, 'pass-2')
    expect(next).toMatchObject({ kind: 'completed', counts: { rebuilt: 0 } })
    expect(next).not.toHaveProperty('mended')
  })

  it('tells what it mended from what stays damaged', async () => {
    const world = await worldWithPolicy({ ...policy, retention: null })
    const days = await backUpDays(world, 2)
    const [lost, whole] = days.map(({ recoveryPointId }) => `layers/${recoveryPointId}/os`)
    const madeOf = ['segments', 'slices'].map((root) => `${root}/${days[0]!.recoveryPointId}/os/`)
    for (const name of [...world.vault.objects.keys()])
      if (name === lost || name === whole || madeOf.some((prefix) => name.startsWith(prefix)))
        world.vault.objects.delete(name)
    const { kind, problems, mended } = await runMaintenance(world, 'pass-1')
    expect(kind).toBe('incomplete')
    expect(mended?.map(({ name }) => name)).toEqual([whole])
    const unreadable = problems.find(({ reason }) => reason === 'unreadable-objects')
    expect(unreadable?.message).toContain(`Mended since: ${whole}.`)
    expect(unreadable?.objects).toEqual([lost])
    expect(problems.map(({ reason }) => reason)).toContain('known-damage')
  })

  it('judges by an index that it rebuilt what else is damaged', async () => {
    const world = await worldWithPolicy({ ...policy, retention: null })
    const [first] = await backUpDays(world, 1)
    for (const page of [0, 20]) world.platform.disks.get('os')!.fill('y', page * 4096, page * 4096 + 4096)
    const [second] = await backUpDays(world, 1, 1)
    for (const name of [...world.vault.objects.keys()])
      if (name.startsWith(`segments/${first!.recoveryPointId}/os/`)) world.vault.objects.delete(name)
    world.vault.objects.delete(`layers/${second!.recoveryPointId}/os`)
    const scrubbed = await scrubWithinBudget(world, { passId: 'pass-1', cursor: null })
    expect(scrubbed).toMatchObject({ counts: { damaged: 2, rebuilt: 1 } })
    expect(await damageOf(world.control, vmKey)).toMatchObject([
      { kind: 'data', touches: [{ recoveryPointId: first!.recoveryPointId, ranges: [{}, {}, {}] }] },
    ])
  })

  it('does not call an object mended that another VM is left with', async () => {
    const world = await worldWithPolicy({ ...policy, retention: null })
    const [day] = await backUpDays(world, 1)
    const name = `layers/${day!.recoveryPointId}/os`
    world.vault.objects.delete(name)
    const foundAt = world.clock.now().toISOString()
    const report = { name, kind: 'index', code: 'short', message: 'Short.', foundAt, frames: null } as const
    const touches = [{ recoveryPointId: 'of the clone', disk: null, ranges: null }]
    const remove: FakeWorld['control']['remove'] = async (...of) => {
      if (of[0].startsWith('damage/')) await writeDamage(world.control, { ...report, vmKey: 'clone', touches })
      return world.control.remove(...of)
    }
    const control = { ...world.control, remove }
    const scrubbed = await scrubWithinBudget({ ...world, control }, { passId: 'pass-1', cursor: null })
    expect(scrubbed).toMatchObject({ counts: { rebuilt: 1 }, mended: [], problems: [{ reason: 'known-damage' }] })
  })

  it('does not look clean while something is known to be damaged, though it finds nothing new', async () => {
    const world = await worldWithPolicy({ ...policy, retention: null })
    const [day] = await backUpDays(world, 1)
    const prefix = `segments/${day!.recoveryPointId}/os/`
    const name = [...world.vault.objects.keys()].find((one) => one.startsWith(prefix))!
    world.vault.objects.delete(name)
    await runMaintenance(world, 'pass-1')
    expect(await runMaintenance(world, 'pass-2')).toMatchObject({
      kind: 'incomplete',
      counts: { damaged: 0 },
      problems: [
        {
          stage: 'scrub',
          reason: 'known-damage',
          message: 'Damaged objects that keep recovery points from being restored whole: 1.',
          hint: expect.stringContaining('GET damage'),
        },
      ],
    })
  })

  it('has no problem with damage that everything can be restored without', async () => {
    const world = await worldWithPolicy({ ...policy, retention: null })
    const foundAt = world.clock.now().toISOString()
    const report = {
      vmKey: 'of a clone',
      kind: 'data',
      code: 'short',
      message: 'Short.',
      foundAt,
      frames: null,
    } as const
    const remove: FakeWorld['control']['remove'] = async (...of) =>
      of[0].startsWith('damage/') ? 'absent' : world.control.remove(...of)
    const control = { ...world.control, remove }
    const scrub = () => scrubWithinBudget({ ...world, control }, { passId: 'pass-1', cursor: null })
    await writeDamage(world.control, { ...report, name: 'segments/hidden', touches: [] })
    expect(await scrub()).toMatchObject({ problems: [] })
    const touches = [{ recoveryPointId: 'of the clone', disk: null, ranges: null }]
    await writeDamage(world.control, { ...report, name: 'segments/needed', touches })
    const message =
      'Damaged objects that keep recovery points from being restored whole: 1. 1 more are damaged, and everything can be restored without them.'
    expect(await scrub()).toMatchObject({ problems: [{ reason: 'known-damage', message }] })
  })

  it('checks again what was checked lately only where it is asked to, once', async () => {
    const world = await worldWithPolicy(policy)
    await backUpDays(world, 2)
    const step = { passId: 'pass-1', cursor: null }
    const checked = async (recheckBefore?: string): Promise<number> => {
      const scrubbed = await scrubWithinBudget(world, recheckBefore === undefined ? step : { ...step, recheckBefore })
      return scrubbed.kind === 'failed' ? 0 : (scrubbed.counts.checkedBytes ?? 0)
    }
    const first = await checked()
    world.clock.advance(dayMs)
    const notDue = await checked()
    expect(notDue).toBeLessThan(first)
    const recheckBefore = world.clock.now().toISOString()
    expect(await checked(recheckBefore)).toBe(first)
    expect(await checked(recheckBefore)).toBe(notDue)
  })
})
