import { beforeAll, describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { layerName, recoveryPointName } from '../../shared/format/names.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { fenceCompaction, listCompactions } from '../../shared/vault/compaction-intents.ts'
import { dropCondemned, writeCondemned } from '../../shared/vault/condemned.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import {
  backUpWrites,
  type CompactionWorld,
  collectUnreachable,
  compactionWorld,
  expectExact,
  expire,
  reopen,
  type Truth,
} from '../support/compaction-world.ts'
import { createMemoryBlobStore, type StoreCall } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'

/** What else may happen to a VM's recovery points while they are compacted. */
const request = { vmKey, stepsMax: 100, rewriteBytesMax: 64 * 1024 }
const made = compactionWorld()
const madeTruths = new Map<string, Truth>()
const random = seededRandom(23)

/** Half of the disk is written each time, and one page of the other half: a segment keeps a frame of five when the next one is there. */
const all = Array.from({ length: 32 }, (_, page) => page)

const backUpNext = async (world: CompactionWorld, truths: Map<string, Truth>): Promise<RecoveryPoint> => {
  const [newest = ''] = [...truths.keys()].reverse()
  const recoveryPointId = `r${String(truths.size).padStart(2, '0')}`
  const before = truths.get(newest) ?? new Map([['os', Buffer.alloc(128 * 1024)]])
  const base =
    (await readRecoveryPoint(world.vault, { vmKey, recoveryPointId: newest || 'none' }))?.recoveryPoint ?? null
  const pages = base === null ? all : [...all.slice(0, 16), 16 + (truths.size % 16)]
  const writes = pages.map((page) => ({ kind: 'data' as const, offsetBytes: page * 4096, bytes: random.bytes(4096) }))
  const next = await backUpWrites(world, { recoveryPointId, base, before }, () => writes)
  truths.set(recoveryPointId, next.truth)
  return next.point
}

beforeAll(async () => {
  for (let number = 0; number < 10; number += 1) await backUpNext(made, madeTruths)
})

const copy = () => ({
  world: {
    vault: createMemoryBlobStore(new Map(made.vault.objects)),
    control: createMemoryBlobStore(new Map(made.control.objects)),
  },
  truths: new Map(madeTruths),
})

/** Holds back the first call that fits until it is let go. */
const heldAt = (world: CompactionWorld, fits: (call: StoreCall) => boolean) => {
  const reached = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  let isHeld = false
  world.vault.pause = async (call) => {
    if (isHeld || !fits(call)) return
    isHeld = true
    reached.resolve()
    await letGo.promise
  }
  return { reached: reached.promise, letGo: letGo.resolve }
}

const isRevision = ({ operation, name }: StoreCall): boolean =>
  operation === 'create' && /^recovery-points\/.*\/000[2-9]\.json$/.test(name)
const isFolding = ({ operation, name }: StoreCall): boolean =>
  operation.startsWith('create') && name.startsWith('layers/fold-')

const orFault = async (running: Promise<unknown>): Promise<unknown> =>
  running.catch((error: unknown) => {
    if (error instanceof VaultError) return error
    throw error
  })

describe('compactions of one VM at the same time', { timeout: 60_000 }, () => {
  it('come to one end, whatever their calls mix like', async () => {
    for (let seed = 0; seed < 12; seed += 1) {
      const { world, truths } = copy()
      const order = seededRandom(seed)
      const doors = [reopen(world), reopen(world)]
      const wait = async () => {
        for (let turns = order.below(6); turns > 0; turns -= 1) await Promise.resolve()
      }
      for (const door of doors) {
        door.vault.pause = wait
        door.control.pause = wait
      }
      await Promise.all(doors.map((door) => compactVm(door, request)))
      await expectExact(world, truths, `seed ${seed}`)
      expect((await compactVm(world, request)).kind).toBe('done')
      await collectUnreachable(world)
      await expectExact(world, truths, `seed ${seed}, collected`)
      expect(await listCompactions(world.control, vmKey, {})).toEqual([])
    }
  })
})

describe('a compaction that was fenced while it slept', () => {
  it('creates no revision when it wakes, though what it made is gone', async () => {
    const { world, truths } = copy()
    const sleeper = reopen(world)
    const held = heldAt(sleeper, isRevision)
    const running = compactVm(sleeper, { ...request, stepsMax: 1 })
    await held.reached
    const [intent = expect.unreachable()] = await listCompactions(world.control, vmKey, {})
    expect(intent.revisions?.length).toBeGreaterThan(0)
    await fenceCompaction(world, intent)
    expect(await collectUnreachable(world)).toBeGreaterThan(0)
    held.letGo()
    expect(await running).toMatchObject({ revisions: 0 })
    await expectExact(world, truths, 'after the sleeper woke')
    await collectUnreachable(world)
    await expectExact(world, truths, 'after a collection')
  })

  it('without the fence would have pointed recovery points to what is gone', async () => {
    const { world, truths } = copy()
    const sleeper = reopen(world)
    const held = heldAt(sleeper, isRevision)
    const running = compactVm(sleeper, { ...request, stepsMax: 1 })
    await held.reached
    await collectUnreachable(world)
    held.letGo()
    await running
    await expect(expectExact(world, truths, 'unfenced')).rejects.toThrow()
  })
})

describe('a recovery point that ends during a compaction', () => {
  it.each([
    ['before its layers are made', isFolding],
    ['before its revision is created', isRevision],
  ])('stays ended: %s', async (_, fits) => {
    const { world, truths } = copy()
    const door = reopen(world)
    const held = heldAt(door, fits)
    const running = compactVm(door, request)
    await held.reached
    for (const recoveryPointId of ['r09', 'r08', 'r00']) {
      expect(await expire(world, recoveryPointId)).toBe(true)
      truths.delete(recoveryPointId)
    }
    held.letGo()
    await orFault(running)
    expect((await compactVm(world, request)).kind).toBe('done')
    await collectUnreachable(world)
    await expectExact(world, truths, 'after expiries')
    for (const recoveryPointId of ['r09', 'r08', 'r00'])
      expect(await readRecoveryPoint(world.vault, { vmKey, recoveryPointId })).toBeNull()
  })
})

describe('a backup during a compaction', () => {
  it('builds on the stack it read, and the next compaction shortens that one, too', async () => {
    const { world, truths } = copy()
    const door = reopen(world)
    const held = heldAt(door, isRevision)
    const running = compactVm(door, request)
    await held.reached
    const point = await backUpNext(world, truths)
    expect(point.disks[0]?.stack).toHaveLength(11)
    held.letGo()
    await running
    expect((await compactVm(world, request)).kind).toBe('done')
    const revised = await readRecoveryPoint(world.vault, point)
    expect(revised?.recoveryPoint.disks[0]?.stack.length).toBeLessThan(8)
    await collectUnreachable(world)
    await expectExact(world, truths, 'after a backup')
  })
})

describe('a collection during a compaction', () => {
  it('postpones a fold whose layer it is about to remove', async () => {
    const { world, truths } = copy()
    const left = reopen(world)
    left.vault.fault = (call) => (isRevision(call) ? 'crashBefore' : null)
    await expect(compactVm(left, request)).rejects.toThrow('crash')
    const [layer = ''] = [...world.vault.objects.keys()].filter((name) => name.startsWith('layers/fold-'))
    const condemned = { passId: 'pass-1', recoveryPointIds: [], layerIds: [layer.slice('layers/'.length)] }
    await writeCondemned(world.control, condemned)
    const made = () => [...world.vault.objects.keys()].filter((name) => !name.startsWith('recovery-points/'))
    const before = made()
    expect(await compactVm(world, request)).toEqual({ kind: 'postponed', folded: 0, rewrittenBytes: 0, revisions: 0 })
    expect(made()).toEqual(before)
    // An intent that stays would keep the layer that the collection waits for.
    expect([...world.control.objects.keys()].filter((name) => name.startsWith('intents/'))).toEqual([])
    await dropCondemned(world.control, 'pass-1')
    expect((await compactVm(world, request)).kind).toBe('done')
    await expectExact(world, truths, 'after the pass')
  })

  it('postpones the moving of data while any pass is under way', async () => {
    const { world, truths } = copy()
    await compactVm(world, { ...request, rewriteBytesMax: 0 })
    for (const recoveryPointId of [...truths.keys()].slice(0, 9)) {
      await expire(world, recoveryPointId)
      truths.delete(recoveryPointId)
    }
    await compactVm(world, { ...request, rewriteBytesMax: 0 })
    await writeCondemned(world.control, { passId: 'pass-1', recoveryPointIds: [], layerIds: [] })
    expect(await compactVm(world, request)).toMatchObject({ kind: 'postponed', rewrittenBytes: 0 })
    await dropCondemned(world.control, 'pass-1')
    const moved = await compactVm(world, request)
    expect(moved.kind).toBe('done')
    expect(moved.rewrittenBytes).toBeGreaterThan(0)
    await expectExact(world, truths, 'after the pass')
  })
})

describe('a damaged frame', () => {
  const frameMagic = Buffer.from('\x89DVFRM\r\n', 'latin1')

  it('stops the moving of data before anything refers to the copy', async () => {
    const { world, truths } = copy()
    for (const recoveryPointId of [...truths.keys()].slice(0, 9)) await expire(world, recoveryPointId)
    await compactVm(world, { ...request, rewriteBytesMax: 0 })
    await collectUnreachable(world)
    for (const [name, stored] of world.vault.objects) {
      if (!name.startsWith('segments/r01/')) continue
      const bytes = Buffer.from(stored.bytes)
      for (let at = bytes.indexOf(frameMagic); at !== -1; at = bytes.indexOf(frameMagic, at + 1))
        bytes.writeUInt8(bytes.readUInt8(at + 250) ^ 1, at + 250)
      world.vault.objects.set(name, { ...stored, bytes })
    }
    const records = () => [...world.vault.objects.keys()].filter((name) => name.startsWith('recovery-points/'))
    const before = records()
    const error = await orFault(compactVm(world, request))
    expect(error).toMatchObject({ fault: { code: 'digest-mismatch' } })
    expect(records()).toEqual(before)
    expect(world.vault.objects.has(layerName('r09/os')) || before.includes(recoveryPointName(vmKey, 'r09', 2))).toBe(
      true,
    )
  })
})
