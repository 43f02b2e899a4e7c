import { describe, expect, it } from 'vitest'
import { commitRecoveryPoint } from '../../shared/vault/commit-recovery-point.ts'
import { commitRevision } from '../../shared/vault/commit-revision.ts'
import { expireRecoveryPoint, expireRecoveryPoints } from '../../shared/vault/expire-recovery-points.ts'
import { fenceRecoveryPoint } from '../../shared/vault/fence-recovery-point.ts'
import { writeIntent } from '../../shared/vault/intents.ts'
import { listLiveRecoveryPoints, readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { backUp, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** One recovery point a day, without any data. */
const worldWith = async (days: number) => {
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const disks = [{ disk: 'os', bytes: Buffer.alloc(4096), ranges: [] }]
  const first = await backUp(stores, { recoveryPointId: 'p0', base: null, disks })
  const { format: _f, revision: _r, merkleRoot: _m, ...draft } = first
  stores.vault.objects.clear()
  for (let day = 0; day < days; day += 1)
    await commitRecoveryPoint(stores, {
      ...draft,
      recoveryPointId: `p${day}`,
      takenAt: new Date(Date.UTC(2026, 0, 1 + day)).toISOString(),
    })
  return { ...stores, draft }
}
const liveOf = async (vault: ReturnType<typeof createMemoryBlobStore>): Promise<string[]> => {
  const live: string[] = []
  for await (const { recoveryPoint } of listLiveRecoveryPoints(vault, vmKey)) live.push(recoveryPoint.recoveryPointId)
  return live
}
const request = { vmKey, retentions: [{ daily: 2 }], timeZone: 'UTC', damaged: new Set<string>(), expiryMax: 100 }

describe('the expiry of recovery points', () => {
  it('ends what the retention does not keep, oldest first, as many as it may', async () => {
    const { vault } = await worldWith(6)
    expect(await expireRecoveryPoints(vault, { ...request, expiryMax: 3 })).toEqual({
      kind: 'more',
      expired: ['p0', 'p1', 'p2'],
    })
    expect(await liveOf(vault)).toEqual(['p3', 'p4', 'p5'])
    expect(await expireRecoveryPoints(vault, request)).toEqual({ kind: 'done', expired: ['p3'] })
    expect(await expireRecoveryPoints(vault, request)).toEqual({ kind: 'done', expired: [] })
  })

  it('ends nothing where a policy has no retention, or there is no policy', async () => {
    const { vault } = await worldWith(4)
    for (const retentions of [[], [null], [{ daily: 1 }, null]])
      expect((await expireRecoveryPoints(vault, { ...request, retentions })).expired).toEqual([])
    expect(await liveOf(vault)).toHaveLength(4)
  })

  it('keeps the newest that can be restored, though a newer one is damaged', async () => {
    const { vault } = await worldWith(3)
    const name = `recovery-points/${vmKey}/p2/0001.json`
    vault.objects.set(name, { bytes: Buffer.from('damaged'), etag: 'damaged' })
    await expireRecoveryPoints(vault, { ...request, retentions: [{ daily: 1 }] })
    expect(await readRecoveryPoint(vault, { vmKey, recoveryPointId: 'p1' })).not.toBeNull()
    expect(vault.objects.has(`recovery-points/${vmKey}/p2/0002.json`)).toBe(false)
  })

  it('keeps sound ones instead of those that are known to be damaged', async () => {
    const { vault } = await worldWith(6)
    const damaged = new Set(['p0', 'p3', 'p5'])
    // The damaged newest stays, and the damaged day between the two sound days that are kept.
    expect((await expireRecoveryPoints(vault, { ...request, damaged })).expired).toEqual(['p0', 'p1'])
    expect(await liveOf(vault)).toEqual(['p2', 'p3', 'p4', 'p5'])
  })

  it('comes behind a revision that somebody else has just made, and is the last', async () => {
    const { vault } = await worldWith(1)
    const key = { vmKey, recoveryPointId: 'p0' }
    await commitRevision(vault, { ...key, revision: 2 }, [])
    await expireRecoveryPoint(vault, { ...key, revision: 1 })
    expect(vault.objects.has(`recovery-points/${vmKey}/p0/0003.json`)).toBe(true)
    expect(await commitRevision(vault, { ...key, revision: 4 }, [])).toEqual({ kind: 'lost' })
    await expireRecoveryPoint(vault, { ...key, revision: 1 })
    expect(vault.objects.has(`recovery-points/${vmKey}/p0/0004.json`)).toBe(false)
    expect(await liveOf(vault)).toEqual([])
  })

  it('is not undone by a late twin that commits the first revision again', async () => {
    const { vault, draft } = await worldWith(2)
    await expireRecoveryPoint(vault, { vmKey, recoveryPointId: 'p0', revision: 1 })
    await expireRecoveryPoint(vault, { vmKey, recoveryPointId: 'p0', revision: 2 })
    vault.objects.delete(`recovery-points/${vmKey}/p0/0001.json`)
    await commitRecoveryPoint({ vault }, { ...draft, recoveryPointId: 'p0' })
    expect(await readRecoveryPoint(vault, { vmKey, recoveryPointId: 'p0' })).toBeNull()
    expect(await liveOf(vault)).toEqual(['p1'])
  })
})

describe('a fence', () => {
  it('lets exactly one of commit and fence win, and drops the intent only then', async () => {
    const { vault, control, draft } = await worldWith(1)
    for (const order of ['commitFirst', 'fenceFirst'] as const) {
      const key = { vmKey, recoveryPointId: order.toLowerCase() }
      await writeIntent(control, { kind: 'backup', id: key.recoveryPointId, vmKey, dependsOn: [] })
      const commit = () => commitRecoveryPoint({ vault }, { ...draft, recoveryPointId: key.recoveryPointId })
      const early = order === 'commitFirst' ? await commit() : null
      await fenceRecoveryPoint({ vault, control }, key)
      const late = await commit()
      expect((early ?? late).kind).toBe(order === 'commitFirst' ? 'committed' : 'aborted')
      expect((await readRecoveryPoint(vault, key)) === null).toBe(order === 'fenceFirst')
      expect([...control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
    }
  })

  it('leaves the intent where it dies before the fence is there', async () => {
    const { vault, control } = await worldWith(1)
    await writeIntent(control, { kind: 'backup', id: 'p9', vmKey, dependsOn: [] })
    const broken = vault.reopen()
    broken.fault = () => 'crashBefore'
    await expect(fenceRecoveryPoint({ vault: broken, control }, { vmKey, recoveryPointId: 'p9' })).rejects.toThrow()
    expect([...control.objects.keys()]).toContain('intents/p9.json')
  })
})
