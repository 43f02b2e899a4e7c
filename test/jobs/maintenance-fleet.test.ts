import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { vmKeyOf } from '../../shared/domain/ids.ts'
import type { MaintenanceStepOutcome } from '../../shared/domain/maintenance.ts'
import { backupJobOf, defaultChoices } from '../../shared/domain/policy.ts'
import { encodeJson } from '../../shared/jobs/json-object.ts'
import { collectVault } from '../../shared/jobs/maintenance/collect-vault.ts'
import { compactVault } from '../../shared/jobs/maintenance/compact-vault.ts'
import { expireVault } from '../../shared/jobs/maintenance/expire-vault.ts'
import { scrubWithinBudget } from '../../shared/jobs/maintenance/scrub-vault.ts'
import { startJob } from '../../shared/jobs/start-job.ts'
import type { BlobContent } from '../../shared/ports/blob-store.ts'
import { writeDamage } from '../../shared/vault/damage-reports.ts'
import { writeIntent } from '../../shared/vault/intents.ts'
import { listRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { runJob } from './run-job.ts'
import { type FakeWorld, fakeInstances, fakeWorld, sampleVm, vmId } from './world.ts'

const vmIds = ['a', 'b', 'c', 'd'].map((name) => `${vmId}-${name}`)
const dayMs = 24 * 3_600_000
const policy = {
  name: 'daily',
  selection: { tags: { backup: 'daily' } },
  schedule: { kind: 'daily', times: ['02:00'], timeZone: 'UTC' },
  retention: { daily: 9 },
}
const step = { passId: 'pass-1', cursor: null }
const minuteMs = 60_000

type Fleet = FakeWorld & { readonly subscriptionIds: readonly string[] }

const backUp = async (world: FakeWorld, id: string, day: number): Promise<void> => {
  world.platform.vms = [sampleVm(id)]
  world.platform.disks.get('os')?.fill(`${day}`, 4096 * (day + 1), 4096 * (day + 2))
  const at = new Date(Date.parse('2026-03-10T02:00:00.000Z') + day * dayMs)
  const asked = { trigger: 'schedule', policy: 'daily', at, cause: 'daily', now: at, windowHours: 24 } as const
  const instances = fakeInstances()
  await startJob({ ...world, instances }, backupJobOf(sampleVm(id), defaultChoices, asked))
  expect((await runJob(world, instances.started[0]!)).outcome).toMatchObject({ kind: 'completed' })
  world.platform.vms = vmIds.map((one) => sampleVm(one))
}

let before: { readonly vault: Map<string, BlobContent>; readonly control: Map<string, BlobContent> }
let world: Fleet

/** Another process of the same app: it counts its calls anew. */
const open = (objects: typeof before): Fleet => ({
  ...fakeWorld(),
  subscriptionIds: ['00000000-0000-0000-0000-000000000001'],
  vault: createMemoryBlobStore(objects.vault, undefined, 5000),
  control: createMemoryBlobStore(objects.control, undefined, 5000),
})

const reopened = (): Fleet => {
  const next = open({ vault: world.vault.objects, control: world.control.objects })
  next.platform.vms = vmIds.map((one) => sampleVm(one))
  return next
}

/** Runs one stage to its end in a process of its own and counts the calls. */
const callsOf = async (
  stage: (deps: Fleet, of: typeof step) => Promise<MaintenanceStepOutcome>,
): Promise<Readonly<Record<string, number>>> => {
  const deps = reopened()
  expect(await stage(deps, step)).toMatchObject({ kind: 'done', problems: [] })
  const counts: Record<string, number> = {}
  for (const { operation, name } of [...deps.vault.calls, ...deps.control.calls]) {
    const call = `${operation} ${name.slice(0, name.indexOf('/'))}`
    counts[call] = (counts[call] ?? 0) + 1
  }
  return counts
}

beforeAll(async () => {
  const made = fakeWorld()
  for (let day = 0; day < 4; day += 1) {
    for (const id of vmIds) await backUp(made, id, day)
    made.clock.advance(dayMs)
  }
  await made.control.put('policies/daily.json', encodeJson(policy))
  before = { vault: made.vault.objects, control: made.control.objects }
})

beforeEach(() => {
  world = open({ vault: new Map(before.vault), control: new Map(before.control) })
  world.platform.vms = vmIds.map((one) => sampleVm(one))
  world.clock.advance(4 * dayMs)
})

const quietly = async (): Promise<void> => {
  for (let pass = 0; pass < 3; pass += 1)
    for (const stage of [expireVault, compactVault, collectVault]) await callsOf(stage)
}

describe('a pass over a fleet of which nothing changed', () => {
  it('asks for the marks of each VM, and for no record and no index', async () => {
    await quietly()
    expect(await callsOf(expireVault)).toEqual({
      ...{ 'list policies': 1, 'read policies': 1, 'list damage': 1 },
      ...{ 'list recovery-points': 1, 'read marks': vmIds.length },
    })
    expect(await callsOf(compactVault)).toEqual({
      ...{ 'list bases': 1, 'list intents': 1, 'list damage': 1 },
      ...{ 'list recovery-points': 1, 'read marks': vmIds.length },
    })
    const collected = await callsOf(collectVault)
    expect(collected['read marks']).toBe(2 * vmIds.length)
    const read = Object.keys(collected).filter((call) => call.startsWith('read') && call !== 'read marks')
    expect(read.filter((call) => !call.endsWith('jobs'))).toEqual([])
  })

  it('reads of one VM that was backed up what is new, whatever the others have', async () => {
    await quietly()
    await backUp(world, vmIds[1]!, 4)
    const { 'read recovery-points': records, 'readRange layers': footers } = await callsOf(expireVault)
    // One of the disks did not change.
    expect([records, footers]).toEqual([1, 1])
    const collected = await callsOf(collectVault)
    expect(collected['read recovery-points']).toBeUndefined()
  })
})

describe('a scrub of several VMs', () => {
  it('writes each note of what was checked once, and what was checked lately is left alone by the next', async () => {
    const notes = async (): Promise<readonly string[]> => {
      const deps = reopened()
      expect(await scrubWithinBudget(deps, step)).toMatchObject({ kind: 'done', counts: { damaged: 0 } })
      const segments = deps.vault.calls.filter(({ operation, name }) => operation === 'read' && name.startsWith('seg'))
      const puts = deps.control.calls.filter(({ operation }) => operation === 'put').map(({ name }) => name)
      expect(new Set(puts).size).toBe(puts.length)
      return segments.map(({ name }) => name)
    }
    const first = await notes()
    expect(new Set(first).size).toBe(first.length)
    expect(first.length).toBeGreaterThan(vmIds.length)
    expect(await notes()).toEqual([])
  })
})

describe('expiry by marks', () => {
  it('ends nothing that the records themselves do not say is to end', async () => {
    await quietly()
    await world.control.put('policies/daily.json', encodeJson({ ...policy, retention: { daily: 3 } }))
    const vmKey = vmKeyOf(vmIds[0]!)
    const ids: string[] = []
    for await (const { recoveryPointId } of listRecoveryPoints(world.vault, vmKey)) ids.push(recoveryPointId)
    const bytes = Buffer.from(world.vault.objects.get(`recovery-points/${vmKey}/${ids[3]}/0001.json`)!.bytes)
    bytes[200]! ^= 1
    const name = `recovery-points/${vmKey}/${ids[3]}/0001.json`
    world.vault.objects.set(name, { bytes, etag: world.vault.objects.get(name)!.etag })
    expect(await expireVault(reopened(), step)).toMatchObject({ counts: { expired: vmIds.length - 1 } })
  })
})

describe('compaction by marks', () => {
  const recordsRead = async (): Promise<number> => (await callsOf(compactVault))['read recovery-points'] ?? 0
  const [first = ''] = vmIds.map(vmKeyOf)

  it('looks again at a VM that has a new recovery point, at no other', async () => {
    await quietly()
    await backUp(world, vmIds[0]!, 4)
    expect(await recordsRead()).toBe(6)
    expect(await recordsRead()).toBe(0)
  })

  it('looks again at a VM with damage, or of which somebody declared a compaction and died', async () => {
    await quietly()
    const report = { vmKey: first, name: 'segments/x', kind: 'data', code: 'short', message: '', foundAt: '' } as const
    await writeDamage(world.control, { ...report, frames: null, touches: [] })
    expect(await recordsRead()).toBe(4)
    for (const name of [...world.control.objects.keys()])
      if (name.startsWith('damage/')) world.control.objects.delete(name)
    await writeIntent(world.control, { kind: 'compaction', id: 'fold-1', vmKey: first, dependsOn: [], revisions: [] })
    expect(await recordsRead()).toBeGreaterThan(3)
    expect(world.control.objects.has('intents/fold-1.json')).toBe(false)
    expect(await recordsRead()).toBe(0)
  })

  it('looks again at all VMs where what clones share is another', async () => {
    await quietly()
    await world.control.put('bases/image.json', encodeJson({}))
    expect(await recordsRead()).toBe(4 * vmIds.length)
    expect(await recordsRead()).toBe(0)
  })

  it('searches for sparse data once a quarter of what the VM has is new', async () => {
    await quietly()
    const indexReads: boolean[] = []
    for (let day = 4; day < 7; day += 1) {
      await backUp(world, vmIds[0]!, day)
      world.clock.advance(dayMs)
      await callsOf(expireVault)
      indexReads.push(((await callsOf(compactVault))['readRange layers'] ?? 0) > 0)
    }
    expect(indexReads).toEqual([false, true, false])
  })
})

describe('the stage that collects', () => {
  /** Time passes with each call that matches. */
  const slowly = (deps: Fleet, prefix: string): Fleet => {
    const wait = async ({ name }: { readonly name: string }) => {
      if (name.startsWith(prefix)) deps.clock.advance(2 * minuteMs)
    }
    deps.vault.pause = wait
    deps.control.pause = wait
    return deps
  }

  it('marks in steps that end in time, each from where the last one stopped, then removes, then ends jobs', async () => {
    world.vault.objects.set('segments/none/os/000000.0001-00000', { bytes: Buffer.alloc(1), etag: 'x' })
    const cursors: (string | null)[] = [null]
    for (;;) {
      const outcome = await collectVault(slowly(reopened(), 'marks/'), { ...step, cursor: cursors.at(-1)! })
      if (outcome.kind !== 'more') break
      cursors.push(outcome.cursor)
    }
    const keys = vmIds.map(vmKeyOf).sort()
    expect(cursors).toEqual([null, ...keys.map((key) => `mark:${key}`), 'jobs:'])
  })

  it('comes to the same where it is killed at any step and the step is repeated', async () => {
    await callsOf(collectVault)
    for (const id of vmIds) await backUp(world, id, 4)
    await world.control.put('policies/daily.json', encodeJson({ ...policy, retention: { daily: 1 } }))
    await callsOf(expireVault)
    let cursor: string | null = null
    for (let number = 0; ; number += 1) {
      const killed = slowly(reopened(), 'marks/')
      killed.control.fault = ({ number: call }) => (call === 2 + (number % 3) ? 'crashAfter' : null)
      await collectVault(killed, { ...step, cursor }).catch(() => undefined)
      const outcome: MaintenanceStepOutcome = await collectVault(slowly(reopened(), 'marks/'), { ...step, cursor })
      if (outcome.kind !== 'more') break
      cursor = outcome.cursor
    }
    const live = new Set<string>()
    for (const id of vmIds) {
      let newest = ''
      for await (const { recoveryPointId } of listRecoveryPoints(world.vault, vmKeyOf(id))) newest = recoveryPointId
      live.add(newest)
    }
    const kept = new Set([...world.vault.objects.keys()].filter((name) => name.startsWith('layers/')))
    for (const id of live) expect(kept.has(`layers/${id}/os`)).toBe(true)
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('condemned/'))).toEqual([])
  })

  it('goes on with the removal for a pass that an earlier release began', async () => {
    const deps = reopened()
    expect(await collectVault(deps, { ...step, cursor: 'pass-1' })).toMatchObject({ kind: 'done' })
    expect([...deps.control.objects.keys()].filter((name) => name.startsWith('marks/'))).toEqual([])
  })
})
