import { beforeEach, describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { commitRecoveryPoint } from '../../shared/vault/commit-recovery-point.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { writeDamage } from '../../shared/vault/damage-reports.ts'
import { expireRecoveryPoint } from '../../shared/vault/expire-recovery-points.ts'
import { writeIntent } from '../../shared/vault/intents.ts'
import { listVmKeys, listVms } from '../../shared/vault/list-vm-keys.ts'
import { markVm } from '../../shared/vault/mark-vm.ts'
import { noMarks, readMarks, writeMarks } from '../../shared/vault/vm-marks.ts'
import { backUpChain, collect, collectQuietly, expectRestores, namesIn } from '../support/collection-world.ts'
import { backUpWrites, type CompactionWorld, compactionWorld, pageWrites, reopen } from '../support/compaction-world.ts'
import { failAtEachCall } from '../support/fail-at.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'

const seed = Number(process.env.SIM_SEED ?? 20_261_123)

type Chain = Awaited<ReturnType<typeof backUpChain>>

let world: CompactionWorld
let chain: Chain
const made = (index: number): Chain[number] => chain[index] as Chain[number]
const expire = (recoveryPointId: string, of = vmKey): Promise<void> =>
  expireRecoveryPoint(world.vault, { vmKey: of, recoveryPointId, revision: 1 })

const markAll = async (through: CompactionWorld): Promise<void> => {
  for await (const vm of listVms(through.vault, null)) await markVm(through, vm)
}

/** What a pass over the world asks for, as a process of its own. */
const readsOfPass = async (passId: string): Promise<readonly string[]> => {
  const through = reopen(world)
  await markAll(through)
  await collect(through, passId)
  return [...through.vault.calls, ...through.control.calls]
    .filter(({ operation }) => operation !== 'list')
    .map(({ operation, name }) => `${operation} ${name}`)
}

/** A disk of another VM that lies on all layers of `point`, as a clone's does. */
const clone = async ({ disks, ...point }: RecoveryPoint, recoveryPointId: string): Promise<RecoveryPoint> => {
  const { format: _f, revision: _r, merkleRoot: _m, ...draft } = { ...point, disks }
  const outcome = await commitRecoveryPoint(world, {
    ...draft,
    vmKey: 'clone-000000000000',
    recoveryPointId,
    baseRecoveryPointId: null,
    previous: null,
  })
  if (outcome.kind !== 'committed') throw new Error('the clone was not committed')
  return outcome.recoveryPoint
}

beforeEach(async () => {
  world = compactionWorld()
  chain = await backUpChain(world, seededRandom(seed), ['r1', 'r2', 'r3'])
})

describe(`marks of a VM (seed ${seed})`, () => {
  it('say what its records and footers say, and a pass reads none of these again', async () => {
    expect(await readsOfPass('first')).toContain(`read recovery-points/${vmKey}/r1/0001.json`)
    const marks = `read marks/${vmKey}.json`
    const list = 'condemned/second.json'
    expect(await readsOfPass('second')).toEqual([marks, marks, `create ${list}`, `remove ${list}`])
    const { points, layers } = await readMarks(world.control, vmKey)
    expect([...points.keys()]).toEqual(['r1', 'r2', 'r3'])
    expect(points.get('r3')?.layerIds).toEqual(['r3/os', 'r2/os', 'r1/os'])
    expect([...layers.keys()].sort()).toEqual(['r1/os', 'r2/os', 'r3/os'])
  })

  it('are brought up to date by what is new alone', async () => {
    await readsOfPass('first')
    await expire('r1')
    const next = { recoveryPointId: 'r4', base: made(2).point, before: made(2).truth }
    await backUpWrites(world, next, (_, sizeBytes) => pageWrites(seededRandom(seed), sizeBytes, 3))
    const reads = (await readsOfPass('second')).filter((call) => call.startsWith('read'))
    expect(reads.filter((call) => call.includes(' recovery-points/')).sort()).toEqual([
      `read recovery-points/${vmKey}/r1/0002.json`,
      `read recovery-points/${vmKey}/r4/0001.json`,
    ])
    expect(reads.filter((call) => call.includes(' layers/'))).toEqual(['readRange layers/r4/os'])
  })

  it('count for nothing where they are damaged, or of a record that is another by now', async () => {
    await markAll(world)
    const name = `recovery-points/${vmKey}/r2/0001.json`
    world.vault.objects.set(name, { bytes: Buffer.from('damaged'), etag: 'another' })
    expect((await collect(world, 'pass')).unreadable).toMatchObject([{ name }])
    await world.control.put(`marks/${vmKey}.json`, Buffer.from('damaged'))
    expect(await readMarks(world.control, vmKey)).toEqual(noMarks)
  })

  it('do not hide that a layer is gone: nothing is removed then', async () => {
    await markAll(world)
    await expire('r2')
    world.vault.objects.delete('layers/r1/os')
    const before = [...world.vault.objects.keys()]
    expect((await collect(world, 'pass')).unreadable).toMatchObject([{ name: 'layers/r1/os' }])
    expect([...world.vault.objects.keys()]).toEqual(before)
  })

  it('are not gone by while damage is known of the VM', async () => {
    await markAll(world)
    await expire('r3')
    const name = `recovery-points/${vmKey}/r1/0001.json`
    world.vault.objects.get(name)!.bytes[200]! ^= 1
    const report = { vmKey, name, kind: 'record', code: 'digest-mismatch', message: 'm', foundAt: '' } as const
    await writeDamage(world.control, { ...report, frames: null, touches: [] })
    const before = [...world.vault.objects.keys()]
    expect((await collect(world, 'pass')).unreadable).toMatchObject([{ name }])
    expect([...world.vault.objects.keys()]).toEqual(before)
  })

  it('leave out what cannot be read', async () => {
    world.vault.objects.get('layers/r2/os')!.bytes.fill(0)
    await markAll(world)
    expect([...(await readMarks(world.control, vmKey)).points.keys()]).toEqual(['r1'])
    await writeMarks(world.control, 'other', await readMarks(world.control, vmKey))
    expect([...(await readMarks(world.control, 'other')).layers.keys()]).toEqual(['r1/os'])
  })
})

describe('what happens between marking and removal', () => {
  it('a backup that commits is kept, with what it stands on', async () => {
    await markAll(world)
    const next = { recoveryPointId: 'r4', base: made(2).point, before: made(2).truth }
    const late = await backUpWrites(world, next, (_, sizeBytes) => pageWrites(seededRandom(seed), sizeBytes, 3))
    for (const id of ['r1', 'r2', 'r3']) await expire(id)
    await collectQuietly(world, 'pass')
    expect(await expectRestores(world, late)).toBe(true)
    expect(namesIn(world, 'layers/')).toHaveLength(4)
  })

  it('a backup that commits while the list of the condemned is written is found by the look behind it', async () => {
    await markAll(world)
    await expire('r3')
    let late: Chain[number] | null = null
    world.control.pause = async ({ operation, name }) => {
      if (operation !== 'create' || !name.startsWith('condemned/')) return
      const next = { recoveryPointId: 'r4', base: made(2).point, before: made(2).truth }
      late ??= await backUpWrites(reopen(world), next, (_, size) => pageWrites(seededRandom(seed), size, 3))
    }
    await collect(world, 'pass')
    if (late === null) throw new Error('nothing was condemned')
    expect(await expectRestores(world, late)).toBe(true)
  })

  it('a backup that runs keeps its base by its intent', async () => {
    await markAll(world)
    await writeIntent(world.control, { kind: 'backup', id: 'r4', vmKey, dependsOn: ['r3'] })
    await expire('r3')
    await collectQuietly(world, 'pass')
    expect(await expectRestores(world, made(2))).toBe(true)
  })

  it('a VM that appears keeps what it shares with one that has ended, until it ends, too', async () => {
    await markAll(world)
    const point = await clone(made(1).point, 'c1')
    for (const id of ['r1', 'r2', 'r3']) await expire(id)
    await collectQuietly(world, 'early')
    await markAll(world)
    await collectQuietly(world, 'pass')
    expect(namesIn(world, 'layers/')).toEqual(['layers/r1/os', 'layers/r2/os'])
    expect(await expectRestores(world, { point, truth: made(1).truth })).toBe(true)
    await expire('c1', 'clone-000000000000')
    await collectQuietly(world, 'after')
    expect(namesIn(world, 'layers/')).toEqual([])
    expect(namesIn(world, 'segments/')).toEqual([])
  })

  it('a fold takes the place of what was marked', async () => {
    await expire('r1')
    await expire('r2')
    await markAll(world)
    const { folded } = await compactVm(world, { vmKey, stepsMax: 5, rewriteBytesMax: 0 })
    expect(folded).toBeGreaterThan(0)
    await collectQuietly(world, 'pass')
    expect(namesIn(world, 'layers/')).toHaveLength(1)
    const [left = ''] = namesIn(world, 'layers/')
    expect(left).toMatch(/^layers\/fold-/)
  })
})

describe(`marking and removal that die at any call (seed ${seed})`, () => {
  it.each(['crashBefore', 'crashAfter'] as const)(
    'are finished by the next ones, and lose nothing: %s',
    async (fault) => {
      await markAll(world)
      await expire('r2')
      await expire('r3')
      const calls = await failAtEachCall(world, fault, {
        worldOf: reopen,
        work: async (broken) => {
          await markAll(broken)
          await collect(broken, 'broken')
        },
        check: async (copy, target) => {
          world = copy
          await markAll(reopen(world))
          await collectQuietly(reopen(world), 'quiet')
          expect(await expectRestores(world, made(0)), `call ${target}`).toBe(true)
          expect(namesIn(world, 'layers/'), `call ${target}`).toEqual(['layers/r1/os'])
          expect([...world.control.objects.keys()]).toEqual([`marks/${vmKey}.json`])
        },
      })
      expect(calls).toBeGreaterThan(30)
    },
  )
})

describe('the VMs of a vault', () => {
  it('are listed once each, and from where a step stopped, also where one key begins another', async () => {
    const { vault } = compactionWorld()
    const keys = ['a', 'a-b', 'a.b', 'b']
    for (const key of keys)
      for (const id of ['r1', 'r2']) await vault.put(`recovery-points/${key}/${id}/0001.json`, Buffer.alloc(1))
    const listed: string[] = []
    for await (const key of listVmKeys(vault, null)) listed.push(key)
    expect([...listed].sort()).toEqual(keys)
    for (const [index, after] of listed.entries()) {
      const rest: string[] = []
      for await (const key of listVmKeys(vault, after)) rest.push(key)
      expect(rest).toEqual(listed.slice(index + 1))
    }
  })
})
