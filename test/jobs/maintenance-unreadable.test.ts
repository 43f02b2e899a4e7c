import { describe, expect, it } from 'vitest'
import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { StepProblem } from '../../shared/domain/maintenance.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { recoveryPointName } from '../../shared/format/names.ts'
import { encodeSealedJson } from '../../shared/format/sealed-json.ts'
import { endedJobName } from '../../shared/jobs/control-names.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { collectVault } from '../../shared/jobs/maintenance/collect-vault.ts'
import { expireVault } from '../../shared/jobs/maintenance/expire-vault.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import { writeIntent } from '../../shared/vault/intents.ts'
import { listLiveRecoveryPoints, listRecoveryPoints, readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { runJob } from './run-job.ts'
import { fakeInstances, fakeWorld, sampleVm, vmId } from './world.ts'

const step = { passId: 'pass-1', cursor: null }
const policy = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
  retention: { daily: 1 },
}

/** Two VMs that are gone, with three backups of a policy each. */
const worldOfTwo = async () => {
  const world = { ...fakeWorld(), subscriptionIds: ['00000000-0000-0000-0000-000000000001'] }
  const ids = [`${vmId}-a`, `${vmId}-b`].sort((a, b) => (vmKeyOf(a) < vmKeyOf(b) ? -1 : 1))
  for (const id of ids)
    for (const day of [0, 1, 2]) {
      world.platform.vms = [sampleVm(id)]
      const at = new Date(`2026-03-1${day}T02:00:00.000Z`)
      const asked = { trigger: 'schedule', policy: 'daily', at, cause: 'daily', now: at, windowHours: 24 } as const
      const instances = fakeInstances()
      await startJob({ ...world, instances }, backupJobOf(sampleVm(id), defaultChoices, asked))
      expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
    }
  world.platform.vms = []
  await world.control.put('policies/daily.json', encodeJson(policy))
  const live = async (vmKey: string): Promise<number> => {
    let points = 0
    for await (const _ of listLiveRecoveryPoints(world.vault, vmKey)) points += 1
    return points
  }
  const newest = async (vmKey: string): Promise<string> => {
    let last = ''
    for await (const { recoveryPointId } of listRecoveryPoints(world.vault, vmKey)) last = recoveryPointId
    return last
  }
  const [first = '', second = ''] = ids.map(vmKeyOf)
  return { world, first, second, live, newest }
}

describe('expiry of VMs that no policy selects', () => {
  it('goes by the policy of their last backup', async () => {
    const { world, first, second, live } = await worldOfTwo()
    expect(await expireVault(world, step)).toMatchObject({ kind: 'done', counts: { expired: 4 }, problems: [] })
    expect(await live(first)).toBe(1)
    expect(await live(second)).toBe(1)
  })

  it('ends nothing of one whose newest commit record is damaged, tells of it, and goes on with the others', async () => {
    const { world, first, second, live, newest } = await worldOfTwo()
    const name = `recovery-points/${first}/${await newest(first)}/0001.json`
    world.vault.objects.get(name)!.bytes[200]! ^= 1
    const outcome = await expireVault(world, step)
    expect(outcome).toMatchObject({ kind: 'done', counts: { expired: 2 } })
    expect(outcome).toMatchObject({
      problems: [
        {
          reason: 'last-policy-unknown',
          message: expect.stringContaining(name),
          hint: expect.stringContaining(`POST vms/${first}/recovery-points/`),
        },
      ],
    })
    expect(await live(second)).toBe(1)
    world.vault.objects.get(name)!.bytes[200]! ^= 1
    expect(await live(first)).toBe(3)
  })

  it('ends nothing of one whose last job has a record that is no JSON, and goes on with the others', async () => {
    const { world, first, second, live } = await worldOfTwo()
    const jobs = [...world.control.objects.keys()].filter((name) => name.includes(`-backup-${first}-`)).sort()
    await world.control.put(jobs[0]!, Buffer.from('{'))
    const outcome = await expireVault(world, step)
    expect(outcome).toMatchObject({
      kind: 'done',
      counts: { expired: 2 },
      problems: [{ reason: 'last-policy-unknown' }],
    })
    expect([await live(first), await live(second)]).toEqual([3, 1])
  })
})

describe('collection', () => {
  it('names an older revision that cannot be read once, and offers to give nothing up where a later one is whole', async () => {
    const { world, first, newest } = await worldOfTwo()
    const recoveryPointId = await newest(first)
    const found = await readRecoveryPoint(world.vault, { vmKey: first, recoveryPointId })
    const later = { ...found!.recoveryPoint, revision: 2 }
    await world.vault.put(recoveryPointName(first, recoveryPointId, 2), encodeSealedJson(later))
    const name = recoveryPointName(first, recoveryPointId, 1)
    world.vault.objects.get(name)!.bytes[200]! ^= 1
    await writeIntent(world.control, { kind: 'compaction', id: 'fold-a', vmKey: first, dependsOn: [recoveryPointId] })
    const { problems = [] } = (await collectVault(world, step)) as { readonly problems?: readonly StepProblem[] }
    expect(problems).toMatchObject([
      { reason: 'unreadable-older-revisions', message: expect.stringContaining(`1 object cannot be read: ${name}.`) },
    ])
    expect(problems[0]!.hint).not.toContain('expire')
  })

  it('offers to give up what GET damage says is lost where the newest revision cannot be read', async () => {
    const { world, first, newest } = await worldOfTwo()
    const name = recoveryPointName(first, await newest(first), 1)
    world.vault.objects.get(name)!.bytes[200]! ^= 1
    expect(await collectVault(world, step)).toMatchObject({
      problems: [
        {
          reason: 'unreadable-objects',
          message: expect.stringContaining(`1 object cannot be read: ${name}.`),
          hint: expect.stringMatching(/mended.*expire/),
        },
      ],
    })
  })

  it('goes on where the record of a restore is no JSON, keeps what that restore left, and tells of it', async () => {
    const world = fakeWorld()
    await writeIntent(world.control, { kind: 'restore', id: 'restore-a', vmKey: 'v', dependsOn: ['p'] })
    await world.control.put('plans/restore-a/restore.json', encodeJson({}))
    await world.control.put(endedJobName('restore-a'), Buffer.from('{'))
    expect(await collectVault(world, step)).toMatchObject({
      kind: 'done',
      problems: [{ reason: 'unreadable-job-record', message: expect.stringContaining(endedJobName('restore-a')) }],
    })
    expect(world.control.objects.has('plans/restore-a/restore.json')).toBe(true)
  })
})
