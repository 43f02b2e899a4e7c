import { beforeEach, describe, expect, it } from 'vitest'
import { dropCondemned, readCondemned, writeCondemned } from '../../shared/vault/condemned.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { fenceRecoveryPoint } from '../../shared/vault/fence-recovery-point.ts'
import { dropIntent, writeIntent } from '../../shared/vault/intents.ts'
import { latestRecoveryPoint, readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { backUpChain, collect, collectQuietly, expectRestores, namesIn } from '../support/collection-world.ts'
import { type CompactionWorld, reopen } from '../support/compaction-world.ts'
import { failAtEachCall } from '../support/fail-at.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { createStorageRules, type RulesGiven } from '../support/storage-rules.ts'
import { vmKey } from '../support/vault-world.ts'

const seed = Number(process.env.SIM_SEED ?? 20_261_122)

const worldUnder = (rules: RulesGiven = {}): CompactionWorld => ({
  vault: createMemoryBlobStore(new Map(), createStorageRules(rules)),
  control: createMemoryBlobStore(),
})
type Chain = Awaited<ReturnType<typeof backUpChain>>
const expire = (world: CompactionWorld, recoveryPointId: string, revision = 1): Promise<void> =>
  expireRecoveryPoint(world.vault, { vmKey, recoveryPointId, revision })

let world: CompactionWorld
let chain: Chain
const made = (index: number): Chain[number] => chain[index] as Chain[number]
const begin = async (ids = ['r1', 'r2', 'r3'], rules: RulesGiven = {}): Promise<void> => {
  world = worldUnder(rules)
  chain = await backUpChain(world, seededRandom(seed), ids)
}
beforeEach(() => begin())

describe(`a collection (seed ${seed})`, () => {
  it('removes what an expired recovery point alone needs, and its older records', async () => {
    await expire(world, 'r3')
    const { kind, swept } = await collect(world, 'pass')
    expect(kind).toBe('done')
    expect(swept.removed).toBeGreaterThan(3)
    for (const root of ['segments', 'slices', 'layers']) expect(namesIn(world, `${root}/r3/`)).toEqual([])
    expect(namesIn(world, `recovery-points/${vmKey}/r3/`)).toEqual([`recovery-points/${vmKey}/r3/0002.json`])
    expect(await expectRestores(world, made(1))).toBe(true)
  })

  it('keeps of an expired recovery point what a later one stands on', async () => {
    await expire(world, 'r1')
    await expire(world, 'r2')
    await collectQuietly(world, 'pass')
    expect(namesIn(world, 'layers/')).toEqual(['layers/r1/os', 'layers/r2/os', 'layers/r3/os'])
    expect(await expectRestores(world, made(2))).toBe(true)
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r1' })).toBeNull()
  })

  it('removes nothing where everything is needed, and of its own leaves nothing', async () => {
    const before = [...world.vault.objects.keys()]
    const { swept } = await collect(world, 'pass')
    expect(swept.removed).toBe(0)
    expect([...world.vault.objects.keys()]).toEqual(before)
    expect([...world.control.objects.keys()]).toEqual([])
  })

  it('removes what an attempt left that lost, not what won', async () => {
    const [name = ''] = namesIn(world, 'segments/r2/os/000000.0001')
    const lost = name.replace('.0001-', '.0009-')
    world.vault.objects.set(lost, { bytes: Buffer.from('x'), etag: 'lost' })
    await collect(world, 'pass')
    expect(world.vault.objects.has(lost)).toBe(false)
    expect(world.vault.objects.has(name)).toBe(true)
  })

  it('leaves what belongs to a recovery point that is not decided, and takes it once that one is fenced off', async () => {
    world.vault.objects.set('segments/r9/os/000000.0001-00000', { bytes: Buffer.from('x'), etag: 'r9' })
    await collectQuietly(world, 'before')
    expect(namesIn(world, 'segments/r9/')).toHaveLength(1)
    await fenceRecoveryPoint(world, { vmKey, recoveryPointId: 'r9' })
    await collectQuietly(world, 'after')
    expect(namesIn(world, 'segments/r9/')).toEqual([])
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r9' })).toBeNull()
  })

  it('keeps every revision of what an intent names', async () => {
    await writeIntent(world.control, { kind: 'restore', id: 'restore-1', vmKey, dependsOn: ['r3'] })
    await expire(world, 'r3')
    await collectQuietly(world, 'pass', async () => false)
    expect(await expectRestores(world, made(2))).toBe(true)
    expect(namesIn(world, `recovery-points/${vmKey}/r3/`)).toHaveLength(2)
    await collectQuietly(world, 'after')
    expect(namesIn(world, 'layers/r3/')).toEqual([])
  })

  it('condemns before it removes, and what becomes needed in between stays', async () => {
    await expire(world, 'r3')
    let told: readonly string[] = []
    world.control.pause = async ({ operation, name }) => {
      if (operation !== 'list' || name !== 'intents/' || told.length > 0) return
      const condemned = await readCondemned(reopen(world).control)
      told = [...condemned.layerIds]
      const isTold = told.length > 0
      if (isTold) await writeIntent(reopen(world).control, { kind: 'backup', id: 'r4', vmKey, dependsOn: ['r3'] })
    }
    await collect(world, 'pass')
    expect(told).toEqual(['r3/os'])
    expect(await expectRestores(world, made(2))).toBe(true)
  })

  it('lists layers at first, for its own list and behind its last look at records; slices at first and when they go', async () => {
    await expire(world, 'r3')
    const vault = createMemoryBlobStore(world.vault.objects, world.vault.rules, 1000)
    await collect({ ...world, vault }, 'pass')
    const listed = vault.calls.filter(({ operation }) => operation === 'list').map(({ name }) => name)
    expect(listed.filter((prefix) => prefix === 'layers/').length).toBe(3)
    expect(listed.filter((prefix) => prefix === 'slices/').length).toBe(2)
    expect(namesIn(world, 'layers/')).toEqual(['layers/r1/os', 'layers/r2/os'])
  })

  it('goes on with a pass that somebody left, and ends it', async () => {
    await expire(world, 'r3')
    await writeCondemned(world.control, { passId: 'left', recoveryPointIds: [], layerIds: ['r3/os'] })
    await collect(world, 'new')
    expect(namesIn(world, 'layers/')).toEqual(['layers/r1/os', 'layers/r2/os'])
    expect([...world.control.objects.keys()]).toEqual([])
  })

  it('does not end the list of a pass that somebody left while something of it is still there', async () => {
    await expire(world, 'r3')
    await writeCondemned(world.control, { passId: 'left', recoveryPointIds: [], layerIds: ['r3/os'] })
    await writeIntent(world.control, { kind: 'restore', id: 'restore-1', vmKey, dependsOn: ['r3'] })
    await collect(world, 'new')
    expect((await readCondemned(world.control)).layerIds).toEqual(new Set(['r3/os']))
    await dropIntent(world.control, 'restore-1')
    await collect(world, 'newer')
    expect((await readCondemned(world.control)).layerIds.size).toBe(0)
    expect(namesIn(world, 'layers/r3/')).toEqual([])
  })

  it('keeps a layer, and what it uses, that lost its last user after the list was written', async () => {
    await writeCondemned(world.control, { passId: 'pass', recoveryPointIds: [], layerIds: [] })
    await expire(world, 'r3')
    await collect(world, 'pass')
    expect(await expectRestores(world, made(2))).toBe(true)
    await dropCondemned(world.control, 'pass')
    await collect(world, 'pass')
    expect(namesIn(world, 'segments/r3/')).toEqual([])
  })

  it('removes as much as it may in one call, and goes on with the next', async () => {
    await expire(world, 'r3')
    let calls = 1
    while ((await collect(world, 'pass', { objectsMax: 1 })).kind === 'more') calls += 1
    expect(calls).toBeGreaterThan(2)
    expect(namesIn(world, 'segments/r3/')).toEqual([])
  })

  it('is not at its end before the control container is cleared, too', async () => {
    await expire(world, 'r3')
    for (const name of ['plans/r1/os/summary.json', 'plans/r2/os/summary.json', 'plans/r3/os/summary.json'])
      await world.control.put(name, Buffer.from('x'))
    await writeCondemned(world.control, { passId: 'left', recoveryPointIds: [], layerIds: [] })
    let from: string | null = null
    const left: number[] = []
    do {
      from = (await collect(world, 'pass', { objectsMax: 2, from })).at
      left.push([...world.control.objects.keys()].filter((name) => name.startsWith('condemned/')).length)
    } while (from !== null)
    expect(left.slice(0, -1).every((lists) => lists === 2)).toBe(true)
    expect([...world.control.objects.keys()]).toEqual([])
  })

  it('clears the control container of jobs that are over', async () => {
    await begin()
    world.control.objects.set('plans/r1/os/summary.json', { bytes: Buffer.from('x'), etag: '1' })
    world.control.objects.set('plans/restore-1/restore.json', { bytes: Buffer.from('x'), etag: '2' })
    world.control.objects.set('attempts/r8/os/000000/0001', { bytes: Buffer.from('x'), etag: '3' })
    await collect(world, 'pass', { hasEnded: async (id) => id === 'restore-1' })
    expect([...world.control.objects.keys()]).toEqual(['attempts/r8/os/000000/0001'])
  })

  it('removes the mark of an attempt of a compaction that has ended, and of no other', async () => {
    const mark = { bytes: Buffer.from('x'), etag: '1' }
    for (const id of ['fold-1', 'fold-2']) world.control.objects.set(`attempts/${id}/os/000000/0001`, mark)
    await writeIntent(world.control, { kind: 'compaction', id: 'fold-2', vmKey, dependsOn: [], revisions: [] })
    await collect(world, 'pass')
    expect([...world.control.objects.keys()].sort()).toEqual(['attempts/fold-2/os/000000/0001', 'intents/fold-2.json'])
  })

  it('drops the intent that a late twin wrote after the commit', async () => {
    await writeIntent(world.control, { kind: 'backup', id: 'r2', vmKey, dependsOn: ['r1'] })
    await collect(world, 'pass')
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
  })

  it('drops the intent of a restore once its job has ended, and not before', async () => {
    await writeIntent(world.control, { kind: 'restore', id: 'restore-1', vmKey, dependsOn: ['r1'] })
    await collect(world, 'early')
    expect([...world.control.objects.keys()]).toContain('intents/restore-1.json')
    await collect(world, 'late', { hasEnded: async (id) => id === 'restore-1' })
    expect([...world.control.objects.keys()]).not.toContain('intents/restore-1.json')
  })
})

describe('a collection next to damage', () => {
  const damage = (name: string): void => {
    world.vault.objects.set(name, { bytes: Buffer.from('damaged'), etag: 'damaged' })
  }

  it('removes nothing that an unreadable commit record might name, until that one is ended', async () => {
    await expire(world, 'r2')
    await expire(world, 'r3')
    damage(`recovery-points/${vmKey}/r1/0001.json`)
    const before = [...world.vault.objects.keys()]
    const { unreadable } = await collect(world, 'pass')
    expect(unreadable).toMatchObject([{ name: `recovery-points/${vmKey}/r1/0001.json`, reason: 'malformed' }])
    expect([...world.vault.objects.keys()]).toEqual(before)
    await expire(world, 'r1')
    await collectQuietly(world, 'after')
    expect(namesIn(world, 'segments/')).toEqual([])
  })

  it('removes nothing that a layer which is gone might use', async () => {
    await expire(world, 'r2')
    world.vault.objects.delete('layers/r1/os')
    const before = [...world.vault.objects.keys()]
    const { unreadable } = await collect(world, 'pass')
    expect(unreadable).toMatchObject([{ name: 'layers/r1/os', reason: 'object-missing' }])
    expect([...world.vault.objects.keys()]).toEqual(before)
  })

  it('still removes what belongs to a recovery point that never was', async () => {
    damage(`recovery-points/${vmKey}/r1/0001.json`)
    world.vault.objects.set('segments/r9/os/000000.0001-00000', { bytes: Buffer.from('x'), etag: 'r9' })
    await fenceRecoveryPoint(world, { vmKey, recoveryPointId: 'r9' })
    await collect(world, 'pass')
    expect(namesIn(world, 'segments/r9/')).toEqual([])
  })

  it('removes nothing while an intent cannot be read', async () => {
    await expire(world, 'r3')
    world.control.objects.set('intents/x.json', { bytes: Buffer.from('damaged'), etag: 'x' })
    const before = [...world.vault.objects.keys()]
    await expect(collect(world, 'pass')).rejects.toMatchObject({ name: 'VaultError' })
    expect([...world.vault.objects.keys()]).toEqual(before)
  })
})

describe('a collection under the rules of a storage account', () => {
  it('counts what a policy retains, and takes it when it may', async () => {
    let now = new Date('2026-01-01')
    await begin(['r1', 'r2'], { immutableDays: 30, now: () => now })
    await expire(world, 'r2')
    const { kind, swept } = await collect(world, 'early')
    expect(kind).toBe('done')
    expect(swept.removed).toBe(0)
    expect(swept.retained).toBeGreaterThan(3)
    expect((await latestRecoveryPoint(world.vault, vmKey))?.recoveryPoint.recoveryPointId).toBe('r1')
    now = new Date('2026-03-01')
    await collectQuietly(world, 'late')
    expect(namesIn(world, 'segments/r2/')).toEqual([])
    expect(await expectRestores(world, made(0))).toBe(true)
  })

  it('leaves the later records of a recovery point where an older one is held', async () => {
    await begin(['r1', 'r2'])
    await expire(world, 'r2')
    await expire(world, 'r2', 2)
    world.vault.rules.legalHolds.add(`recovery-points/${vmKey}/r2/0001.json`)
    await collectQuietly(world, 'pass')
    expect(namesIn(world, `recovery-points/${vmKey}/r2/`)).toHaveLength(3)
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2' })).toBeNull()
  })

  it('does not need removed objects to be gone', async () => {
    await begin(['r1', 'r2'], { versioning: true, softDeleteDays: 14 })
    await expire(world, 'r2')
    await collectQuietly(world, 'pass')
    expect(namesIn(world, 'segments/r2/')).toEqual([])
    for (const name of [...world.vault.rules.hidden.keys()]) world.vault.rules.bringBack(world.vault.objects, name)
    expect(namesIn(world, 'segments/r2/').length).toBeGreaterThan(0)
    expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: 'r2' })).toBeNull()
    await collectQuietly(world, 'again')
    expect(namesIn(world, 'segments/r2/')).toEqual([])
  })

  it('does not come back within a pass to what a policy retains, however little time each call has', async () => {
    await begin(['r1'], { immutableDays: 30, now: () => new Date('2026-01-01') })
    await fenceRecoveryPoint(world, { vmKey, recoveryPointId: 'r9' })
    for (let n = 0; n < 2500; n += 1)
      await world.vault.put(`segments/r9/os/000000.0001-${String(n).padStart(5, '0')}`, Buffer.from('x'))
    const through = createMemoryBlobStore(world.vault.objects, world.vault.rules, 5000)
    const ended: string[] = []
    let from: string | null = null
    do {
      const { at, kind, swept } = await collect({ ...world, vault: through }, 'pass', { from, hasTime: () => false })
      ended.push(`${kind} ${swept.retained}`)
      from = at
    } while (from !== null && ended.length < 5)
    expect(ended).toEqual(['more 1000', 'more 1000', 'done 500'])
  })

  it('takes up the records of a recovery point from the oldest on, where it was cut short among them', async () => {
    await begin(['r1', 'r2'])
    await expire(world, 'r2')
    await expire(world, 'r2', 2)
    world.vault.rules.legalHolds.add(`recovery-points/${vmKey}/r2/0001.json`)
    const from = `recovery-points/${vmKey}/r2/0002.json`
    while ((await collect(world, 'pass', { from })).kind === 'more');
    expect(namesIn(world, `recovery-points/${vmKey}/r2/`)).toHaveLength(3)
  })

  it('leaves what its tier charges for anyhow to a later pass', async () => {
    let now = new Date()
    const tierOf = (name: string) => (name.startsWith('segments/') ? ('Cool' as const) : ('Hot' as const))
    await begin(['r1', 'r2'], { tierOf, now: () => now })
    await expire(world, 'r2')
    const { swept } = await collect(world, 'early')
    expect(swept.early).toBe(namesIn(world, 'segments/r2/').length)
    expect(world.vault.rules.chargedEarly).toEqual([])
    now = new Date('2000-01-01')
    await begin(['r1', 'r2'], { tierOf, now: () => now })
    await expire(world, 'r2')
    await collect(world, 'late')
    expect(namesIn(world, 'segments/r2/')).toEqual([])
  })
})

describe(`a collection that dies at any call (seed ${seed})`, () => {
  it.each(['crashBefore', 'crashAfter', 'lostAnswer'] as const)(
    'loses nothing that is needed and is finished by the next one: %s',
    async (fault) => {
      await begin(['r1', 'r2', 'r3'])
      await expire(world, 'r2')
      await expire(world, 'r3')
      await fenceRecoveryPoint(world, { vmKey, recoveryPointId: 'r9' })
      world.vault.objects.set('segments/r9/os/000000.0001-00000', { bytes: Buffer.from('x'), etag: 'r9' })
      const calls = await failAtEachCall(world, fault, {
        worldOf: reopen,
        work: (broken) => collect(broken, 'broken'),
        check: async (copy, target) => {
          world = copy
          await collectQuietly(reopen(world), 'quiet')
          expect(await expectRestores(world, made(0)), `call ${target}`).toBe(true)
          expect(
            namesIn(world, 'segments/').every((name) => name.startsWith('segments/r1/')),
            `call ${target}`,
          ).toBe(true)
          expect(namesIn(world, 'layers/')).toEqual(['layers/r1/os'])
          expect([...world.control.objects.keys()]).toEqual([])
        },
      })
      expect(calls).toBeGreaterThan(30)
    },
  )
})
