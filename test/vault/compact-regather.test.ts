import { beforeAll, describe, expect, it } from 'vitest'
import { noKeys } from '../../shared/format/data-key.ts'
import { StorageError } from '../../shared/ports/blob-store.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { dropCondemned, writeCondemned } from '../../shared/vault/condemned.ts'
import { openLayers, shownBy } from '../../shared/vault/fold-layers.ts'
import { placeOf } from '../../shared/vault/frame-usage.ts'
import { type DataRun, gatherRuns } from '../../shared/vault/gather-runs.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { noRegatherKeys } from '../../shared/vault/regather-keys.ts'
import { regatherLayer } from '../../shared/vault/regather-layer.ts'
import { writeRegatheredSlice } from '../../shared/vault/regather-slice.ts'
import { createVaultKeys } from '../../shared/vault/vault-keys.ts'
import {
  type CompactionWorld,
  collectUnreachable,
  compactionWorld,
  encryptedWorld,
  expectExact,
  isOvertaken,
  reopen,
  type Truth,
} from '../support/compaction-world.ts'
import { failAt, orBroken } from '../support/fail-at.ts'
import { createFakeKeyWrapper, noWrappers, onlyWrapper } from '../support/fake-key-wrapper.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { readShare, storedSegmentBytes } from '../support/regather-measures.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { makeSparseStack } from '../support/sparse-stack.ts'
import { vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { noteWrittenFrames, type WrittenFrame } from '../support/written-frames.ts'

/** A stack whose frames show little is compacted: undisturbed, broken at a storage call (SOAK=1 for every call), next to collections. */
const soak = process.env.SOAK === '1'
const stride = soak ? 1 : 23
const request = { vmKey, stepsMax: 100, rewriteBytesMax: 1024 * 1024 }

const plain = compactionWorld()
const wrapper = createFakeKeyWrapper()
const encrypted = encryptedWorld(onlyWrapper(wrapper))
let plainTruths: ReadonlyMap<string, Truth>
let encryptedTruths: ReadonlyMap<string, Truth>

beforeAll(async () => {
  plainTruths = await makeSparseStack(plain, seededRandom(3))
  encryptedTruths = await makeSparseStack(encrypted, seededRandom(4))
})

/** A copy of its own, with keys that look into the copy. */
const copyOf = (world: CompactionWorld, wrappers = onlyWrapper(wrapper)): CompactionWorld => {
  const stores = {
    vault: createMemoryBlobStore(new Map(world.vault.objects)),
    control: createMemoryBlobStore(new Map(world.control.objects)),
  }
  const doors = { vault: stores.vault.reopen(), control: stores.control.reopen() }
  return { ...stores, keys: createVaultKeys({ ...doors, clock: virtualClock(), wrappers }) }
}

const nonceOf = ({ birth, sealed }: WrittenFrame): string =>
  [sealed?.keyId, birth.recoveryPointId, birth.disk, birth.slice, birth.attempt, sealed?.nonce.toString('hex')].join()

describe('a stack whose frames show little', { timeout: 60_000 }, () => {
  it.each(['plain', 'encrypted'])('is read from full frames once it was compacted: %s', async (kind) => {
    const world = copyOf(kind === 'plain' ? plain : encrypted)
    const truths = kind === 'plain' ? plainTruths : encryptedTruths
    expect(await readShare(world)).toBeGreaterThan(2)
    const before = storedSegmentBytes(world.vault)
    const compacted = await compactVm(world, request)
    expect(compacted.kind).toBe('done')
    expect(compacted.rewrittenBytes).toBeGreaterThan(0)
    expect(await readShare(world)).toBeLessThan(1.5)
    await collectGarbage({ ...world, clock: virtualClock() }, { passId: 'pass-1', objectsMax: 1000 })
    expect(await collectUnreachable(world)).toBe(0)
    expect(storedSegmentBytes(world.vault)).toBeLessThan(before * 0.7)
    await expectExact(world, truths, kind)
    expect(await compactVm(world, request)).toEqual({ kind: 'done', folded: 0, rewrittenBytes: 0, revisions: 0 })
    const left = [...world.control.objects.keys()].filter((name) => /fold-/.test(name))
    expect(left).toEqual([])
  })

  it('stays encrypted, under the data key in force, and no nonce comes twice', async () => {
    const world = copyOf(encrypted)
    await world.keys?.rotateDataKey()
    const current = await world.keys?.current()
    const written: WrittenFrame[] = []
    noteWrittenFrames(world.vault, written)
    world.vault.fault = ({ operation, name }) =>
      operation === 'create' && name.startsWith('slices/') ? 'unreachable' : null
    await expect(compactVm(world, request)).rejects.toThrow(StorageError)
    world.vault.fault = () => null
    expect((await compactVm(world, request)).rewrittenBytes).toBeGreaterThan(0)
    const made = written.filter(({ birth }) => birth.recoveryPointId.startsWith('fold-'))
    expect(new Set(made.map(({ birth }) => birth.attempt))).toEqual(new Set([1, 2]))
    expect(new Set(made.map(({ sealed }) => sealed?.keyId))).toEqual(new Set([current?.keyId]))
    expect(new Set(made.map(nonceOf)).size).toBe(made.length)
    await expectExact(world, encryptedTruths, 'under another data key')
  })

  it('stays plain where it was plain', async () => {
    const world = copyOf(plain)
    await world.keys?.current()
    const written: WrittenFrame[] = []
    noteWrittenFrames(world.vault, written)
    expect((await compactVm(world, request)).rewrittenBytes).toBeGreaterThan(0)
    expect(written.length).toBeGreaterThan(0)
    for (const { sealed } of written) expect(sealed).toBeNull()
  })

  it.each([
    ['no data key can be opened', noWrappers, 'key-locked'],
    ['no new data key may be used', { wrapWith: null, unwrapWith: [wrapper] }, 'key-missing'],
  ])('is left as it is, which is told, where %s', async (_, wrappers, code) => {
    const world = copyOf(encrypted, wrappers)
    const before = [...world.vault.objects.keys()]
    const compacted = await compactVm(world, request)
    expect(compacted).toMatchObject({ kind: 'done', rewrittenBytes: 0, revisions: 0, leftOut: { fault: { code } } })
    expect([...world.vault.objects.keys()]).toEqual(before)
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
  })

  it('waits while a collection is under way', async () => {
    const world = copyOf(plain)
    await writeCondemned(world.control, { passId: 'pass-1', recoveryPointIds: [], layerIds: [] })
    expect(await compactVm(world, request)).toMatchObject({ kind: 'postponed', rewrittenBytes: 0 })
    await dropCondemned(world.control, 'pass-1')
    expect(await compactVm(world, request)).toMatchObject({ kind: 'done' })
    await expectExact(world, plainTruths, 'after the pass')
  })

  it('is not replaced by a slice that differs in one byte, whoever committed it', async () => {
    const world = copyOf(plain)
    const newest = await latestRecoveryPoint(world.vault, vmKey)
    const layers = newest?.recoveryPoint.disks[0]?.stack.slice(0, 1) ?? []
    const opened = await openLayers(world.vault, layers, {})
    const runs: DataRun[] = []
    for await (const run of shownBy(world.vault, opened, {}))
      if (run.frame !== null) runs.push({ ...run, frame: run.frame })
    const shown = await gatherRuns(world.vault, runs, noKeys, {})
    shown.bytes.writeUInt8(shown.bytes.readUInt8(5000) ^ 1, 5000)
    const deps = { ...world, keys: noRegatherKeys }
    const key = { recoveryPointId: 'fold-spoiled', disk: 'os', slice: 0 }
    const frames = { frameCapacityBytes: 64 * 1024, diskBytes: 512 * 1024 }
    await writeRegatheredSlice(deps, { key, runs, shown, ...frames }, {})
    const regather = (id: string) =>
      regatherLayer(deps, { id, disk: 'os', layers, frames: new Set(runs.map(({ frame }) => placeOf(frame))) }, {})
    await expect(regather('fold-spoiled')).rejects.toMatchObject({ fault: { code: 'twin-differs' } })
    expect((await regather('fold-sound')).storedBytes).toBeGreaterThan(0)
  })
})

describe('regathering whose storage fails', { timeout: 600_000 }, () => {
  it.each(['crashBefore', 'crashAfter', 'unreachable', 'lostAnswer'] as const)(
    'loses no recovery point after %s at any one call, and comes to its end when run again',
    async (fault) => {
      const counted = reopen(copyOf(encrypted))
      await compactVm(counted, request)
      const calls = counted.vault.calls.length + counted.control.calls.length
      for (let target = 1 + (fault.length % stride); target <= calls; target += stride) {
        const world = copyOf(encrypted)
        const broken = reopen(world)
        failAt(broken, target, fault)
        const outcome = await orBroken(compactVm(broken, request))
        const label = `${fault} at call ${target} of ${calls}`
        if (fault !== 'lostAnswer') expect(outcome, label).toBe('broken')
        await collectGarbage({ ...world, clock: virtualClock() }, { passId: 'pass-1', objectsMax: 1000 })
        await expectExact(world, encryptedTruths, label)
        expect((await compactVm(world, request)).kind, label).toBe('done')
        expect(await readShare(world), label).toBeLessThan(1.5)
        await collectGarbage({ ...world, clock: virtualClock() }, { passId: 'pass-2', objectsMax: 1000 })
        await expectExact(world, encryptedTruths, `${label}, run again`)
        expect(await collectUnreachable(world), label).toBe(0)
        expect([...world.control.objects.keys()].filter((name) => /fold-/.test(name))).toEqual([])
      }
    },
  )
})

describe('regathering next to collections and another compaction', { timeout: 600_000 }, () => {
  it('loses nothing and leaves nothing behind, whatever their calls mix like', async () => {
    for (let seed = 0; seed < (soak ? 300 : 6); seed += 1) {
      const world = copyOf(encrypted)
      const order = seededRandom(seed)
      const door = (): CompactionWorld => {
        const opened = reopen(world)
        const slowness = 2 ** order.below(8)
        const wait = async () => {
          for (let turns = order.below(slowness); turns > 0; turns -= 1) await Promise.resolve()
        }
        opened.vault.pause = wait
        opened.control.pause = wait
        return opened
      }
      const collect = (passId: string) =>
        collectGarbage({ ...door(), clock: virtualClock() }, { passId, objectsMax: 1000 })
      await Promise.all([
        orOvertaken(compactVm(door(), request)),
        orOvertaken(compactVm(door(), request)),
        collect('pass-1'),
        collect('pass-2'),
      ])
      await expectExact(world, encryptedTruths, `seed ${seed}`)
      await collect('pass-3')
      expect((await compactVm(world, request)).kind, `seed ${seed}`).toBe('done')
      expect(await readShare(world), `seed ${seed}`).toBeLessThan(1.5)
      await collect('pass-4')
      await expectExact(world, encryptedTruths, `seed ${seed}, at the end`)
      expect(await collectUnreachable(world), `seed ${seed}`).toBe(0)
    }
  })
})

const orOvertaken = async (running: Promise<unknown>): Promise<void> => {
  try {
    await running
  } catch (error) {
    if (!isOvertaken(error)) throw error
  }
}
