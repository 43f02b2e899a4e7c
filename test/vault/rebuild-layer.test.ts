import { beforeEach, describe, expect, it } from 'vitest'
import type { LayerReference, RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { layerName } from '../../shared/format/names.ts'
import { commitRevision } from '../../shared/vault/commit-revision.ts'
import { damageOf } from '../../shared/vault/damage-reports.ts'
import { foldLayers } from '../../shared/vault/fold-layers.ts'
import { openLayer } from '../../shared/vault/layer-reader.ts'
import { rebuildLayer, rebuildReported } from '../../shared/vault/rebuild-index.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { scrubVault } from '../../shared/vault/scrub-vault.ts'
import { applyWrites, randomWrites } from '../support/disk-history.ts'
import { createMemoryBlobStore, SimulatedCrash } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { unlimited } from '../support/small-vault.ts'
import { backUp, mib, restoreDisk, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const limits = { shardFramesMax: 3, shardRunsMax: 40 }
const tuning = { frameCapacityBytes: 8192, segmentBytes: 30_000, ...limits }

/** Two recovery points, the second on the first; several slices, segments and shards.
 * @param isOther one byte is another: everything is as long and lies where it does in the first world */
const makeWorld = async (limit: Partial<typeof tuning> = tuning, isOther = false) => {
  const random = seededRandom(21)
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const old = applyWrites(Buffer.alloc(2 * mib), randomWrites(random, 2 * mib, 120))
  const written = old.ranges.find(({ kind, offsetBytes }) => kind === 'data' && old.bytes[offsetBytes] !== 0)
  const at = written?.offsetBytes ?? expect.unreachable()
  if (isOther) old.bytes[at] = (old.bytes[at] ?? 0) ^ 1
  const fresh = applyWrites(old.bytes, randomWrites(random, 2 * mib, 20))
  const order = { rangesPerSlice: 30, tuning: limit }
  const first = await backUp(stores, { ...order, recoveryPointId: 'r1', base: null, disks: [{ disk: 'os', ...old }] })
  const second = await backUp(stores, {
    ...order,
    recoveryPointId: 'r2',
    base: first,
    disks: [{ disk: 'os', ...fresh }],
  })
  const layer = first.disks[0]?.stack[0] ?? expect.unreachable()
  return { ...stores, first, second, layer, images: { r1: old.bytes, r2: fresh.bytes } }
}

type World = Awaited<ReturnType<typeof makeWorld>>
let world: World
beforeEach(async () => {
  world = await makeWorld()
})

const remove = (prefix: string): void => {
  for (const name of [...world.vault.objects.keys()]) if (name.startsWith(prefix)) world.vault.objects.delete(name)
}

const nameOf = ({ layerId }: LayerReference): string => layerName(layerId)

/** Flips a bit in the middle of each of these shards, or of the footer where none are named. */
const damage = async (shards: readonly number[] | null): Promise<void> => {
  const { footer } = await openLayer(world.vault, world.layer, {})
  expect(footer.shards).toBeGreaterThan(4)
  const content = world.vault.objects.get(nameOf(world.layer)) ?? expect.unreachable()
  const bytes = Buffer.from(content.bytes)
  const places = shards?.map((shard) => footer.fence(shard).placeBytes + 60) ?? [bytes.length - 100]
  for (const place of places) bytes[place] = (bytes[place] ?? 0) ^ 4
  world.vault.objects.set(nameOf(world.layer), { ...content, bytes })
}

const rebuild = () => rebuildLayer(world, { vmKey, layer: world.layer }, limits)

const newest = async (recoveryPointId: 'r1' | 'r2'): Promise<RecoveryPoint> =>
  (await readRecoveryPoint(world.vault, { vmKey, recoveryPointId }))?.recoveryPoint ?? expect.unreachable()

const expectWhole = async (): Promise<void> => {
  for (const id of ['r1', 'r2'] as const)
    expect((await restoreDisk(world.vault, await newest(id), 'os')).equals(world.images[id]), id).toBe(true)
  expect((await scrubVault(world, unlimited)).found).toBe(0)
}

describe('a layer', () => {
  it('that is gone is put back byte for byte, of its slice indexes', async () => {
    const before = world.vault.objects.get(nameOf(world.layer))?.bytes
    remove(nameOf(world.layer))
    expect(await rebuild()).toBe('put-back')
    expect(world.vault.objects.get(nameOf(world.layer))?.bytes).toEqual(before)
    await expectWhole()
  })

  it.each([
    ['shards, of its slice indexes', [0, 3], ''],
    ['shards, of the directories of its segments', [0, 3], 'slices/'],
    ['its footer, of its slice indexes', null, ''],
  ])('with damage in %s, is copied under another name, and recovery points take the copy', async (_, shards, lost) => {
    await damage(shards)
    if (lost !== '') remove(lost)
    expect(await rebuild()).toBe('re-pointed')
    for (const id of ['r1', 'r2'] as const)
      expect(await newest(id)).toMatchObject({
        revision: 2,
        disks: [{ stack: expect.not.arrayContaining([world.layer]) }],
      })
    await expectWhole()
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
  })

  it('is not made up: without slice indexes a lost footer cannot be proven, nor a shard whose segment is gone', async () => {
    await damage([0])
    remove('slices/')
    const { footer } = await openLayer(world.vault, world.layer, {})
    expect(footer.segmentRanges.length).toBeGreaterThan(1)
    remove('segments/r1/os/000000')
    expect(await rebuild()).toBe('lost')
    world = await makeWorld()
    await damage(null)
    remove('slices/')
    expect(await rebuild()).toBe('lost')
    remove(nameOf(world.layer))
    expect(await rebuild()).toBe('lost')
    expect(await newest('r1')).toMatchObject({ revision: 1 })
  })

  it.each([true, false])(
    'that was folded is folded again of what an older revision names (lowest: %s)',
    async (isLowest) => {
      const stack = world.second.disks[0]?.stack ?? expect.unreachable()
      const folded = await foldLayers(world.vault, { id: 'fold-0a', disk: 'os', layers: stack, isLowest })
      const key = { vmKey, recoveryPointId: 'r2' }
      const replacement = { disk: 'os', from: stack, to: folded, isLowest }
      expect((await commitRevision(world.vault, { ...key, revision: 2 }, [replacement])).kind).toBe('committed')
      const content = world.vault.objects.get(nameOf(folded)) ?? expect.unreachable()
      const rebuildFold = () => rebuildLayer(world, { vmKey, layer: folded }, limits)
      remove(nameOf(folded))
      expect(await rebuildFold()).toBe('put-back')
      expect(world.vault.objects.get(nameOf(folded))?.bytes).toEqual(content.bytes)
      const bytes = Buffer.from(content.bytes)
      bytes[60] = (bytes[60] ?? 0) ^ 1
      world.vault.objects.set(nameOf(folded), { ...content, bytes })
      expect(await rebuildFold()).toBe('re-pointed')
      expect((await newest('r2')).revision).toBe(3)
      await expectWhole()
      world.vault.objects.set(nameOf(folded), { ...content, bytes })
      remove('layers/r2/os')
      remove(layerName((await newest('r2')).disks[0]?.stack[0]?.layerId ?? 'a/b'))
      const lost = (await newest('r2')).disks[0]?.stack[0] ?? expect.unreachable()
      expect(await rebuildLayer(world, { vmKey, layer: lost }, limits)).toBe('lost')
    },
  )

  it('is not made of slice indexes that are whole and not its own', async () => {
    const other = await makeWorld(tuning, true)
    remove(nameOf(world.layer))
    remove('slices/')
    for (const [name, content] of other.vault.objects)
      if (name.startsWith('slices/')) world.vault.objects.set(name, content)
    expect(await rebuild()).toBe('lost')
    expect(world.vault.objects.has(nameOf(world.layer))).toBe(false)
  })

  it('is not made of a slice index that is damaged itself', async () => {
    remove(nameOf(world.layer))
    const name = 'slices/r1/os/000001'
    const content = world.vault.objects.get(name) ?? expect.unreachable()
    const bytes = Buffer.from(content.bytes)
    bytes[70] = (bytes[70] ?? 0) ^ 1
    world.vault.objects.set(name, { ...content, bytes })
    expect(await rebuild()).toBe('lost')
    expect(world.vault.objects.has(nameOf(world.layer))).toBe(false)
  })

  it('is rebuilt by a run that is broken off, after every seventh call, and begun again', async () => {
    await damage([1])
    const before = { vault: new Map(world.vault.objects), control: new Map(world.control.objects) }
    let rounds = 0
    for (let ended = false, last = 1; !ended; last += 7, rounds += 1) {
      const [vault, control] = [
        createMemoryBlobStore(new Map(before.vault)),
        createMemoryBlobStore(new Map(before.control)),
      ]
      let calls = 0
      const doors = { vault: vault.reopen(), control: control.reopen() }
      for (const door of [doors.vault, doors.control]) door.fault = () => (++calls === last ? 'crashAfter' : null)
      world = { ...world, vault, control }
      ended = await rebuildLayer(doors, { vmKey, layer: world.layer }, limits).then(isTrue, wasCrash)
      const revisions = [(await newest('r1')).revision, (await newest('r2')).revision]
      if (Math.min(...revisions) === 1) expect(await rebuild(), `after call ${last}`).toBe('re-pointed')
      for (const id of ['r1', 'r2'] as const)
        expect((await restoreDisk(vault, await newest(id), 'os')).equals(world.images[id]), `after call ${last}`).toBe(
          true,
        )
    }
    expect(rounds).toBeGreaterThan(5)
  })
})

const isTrue = (): boolean => true
const wasCrash = (error: unknown): boolean => {
  if (error instanceof SimulatedCrash) return false
  throw error
}

describe('what a check found damaged of indexes', () => {
  it('is rebuilt, and no longer reported', async () => {
    world = await makeWorld({ frameCapacityBytes: 8192, segmentBytes: 30_000 })
    remove(nameOf(world.layer))
    expect((await scrubVault(world, unlimited)).found).toBe(1)
    expect(await damageOf(world.control, vmKey)).toMatchObject([
      { kind: 'index', touches: [{ ranges: null }, { ranges: null }] },
    ])
    expect(await rebuildReported(world)).toHaveLength(1)
    expect(await damageOf(world.control, vmKey)).toEqual([])
    await expectWhole()
  })
})
