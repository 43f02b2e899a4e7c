import { describe, expect, it } from 'vitest'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import type { LayerReference, RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import type { DiskReader } from '../../shared/ports/disk-reader.ts'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { sealDisk } from '../../shared/vault/seal-disk.ts'
import { findSlice } from '../../shared/vault/slice-index.ts'
import { openStack, readStack } from '../../shared/vault/stack.ts'
import { transferSlice } from '../../shared/vault/transfer-slice.ts'
import { allocatedRanges, applyWrites, randomWrites } from '../support/disk-history.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { generatedDiskReader, memoryDiskReader } from '../support/memory-disk.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { backUp, mib, restoreDisk } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const key = { recoveryPointId: 'r1', disk: 'os' }
const small = { frameCapacityBytes: 32 * 1024, segmentBytes: 100 * 1024, readBytesMax: 64 * 1024, shardFramesMax: 3 }

const openWorld = () => ({ vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() })
type World = ReturnType<typeof openWorld>

const sampleDisk = (seed: number, writes = 150): { bytes: Buffer; ranges: readonly ChangedRange[] } => {
  const { bytes } = applyWrites(Buffer.alloc(2 * mib), randomWrites(seededRandom(seed), 2 * mib, writes))
  return { bytes, ranges: allocatedRanges(bytes) }
}

const plan = (world: World, reader: DiskReader, rangesPerSlice = 20) =>
  planDisk({ ...world, reader }, { ...key, hasBase: false, sliceBytes: mib, rangesPerSlice })

const move = (world: World, reader: DiskReader, slice: number) =>
  transferSlice({ ...world, reader }, { ...key, jobId: 'job', slice, tuning: small })

const seal = (world: World) => sealDisk(world, { ...key, parentStack: [], fullReason: null })

const readAll = async (world: World, stack: readonly LayerReference[], sizeBytes: number): Promise<Buffer> => {
  const bytes = Buffer.alloc(sizeBytes)
  const open = await openStack(world.vault, { stack, sizeBytes })
  for await (const part of readStack(open, { offsetBytes: 0, lengthBytes: sizeBytes }))
    if (part.bytes !== null) bytes.set(part.bytes, part.offsetBytes)
  return bytes
}

/** A world in which all slices of the disk are committed. */
const movedWorld = async (disk: { bytes: Buffer; ranges: readonly ChangedRange[] }): Promise<World> => {
  const world = openWorld()
  const reader = memoryDiskReader(disk.bytes, disk.ranges)
  const { slices } = await plan(world, reader, 1000)
  for (let slice = 0; slice < slices; slice += 1) await move(world, reader, slice)
  return world
}

/** Lets other runs go first at each storage call, a random number of times. */
const pauseRandomly = (store: MemoryBlobStore, random: SeededRandom): void => {
  store.pause = async () => {
    for (let turns = random.below(6); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('slices', { timeout: 60_000 }, () => {
  it('may be transferred in any order', async () => {
    const disk = sampleDisk(1)
    const layers: LayerReference[] = []
    for (const order of ['up', 'down']) {
      const world = openWorld()
      const { slices } = await plan(world, memoryDiskReader(disk.bytes, disk.ranges))
      expect(slices).toBeGreaterThan(2)
      const numbers = Array.from({ length: slices }, (_, index) => (order === 'up' ? index : slices - 1 - index))
      for (const slice of numbers) await move(world, memoryDiskReader(disk.bytes, disk.ranges), slice)
      const sealed = await seal(world)
      expect((await readAll(world, sealed.stack, disk.bytes.length)).equals(disk.bytes)).toBe(true)
      if (sealed.layer) layers.push(sealed.layer)
    }
    expect(layers[1]).toEqual(layers[0])
  })

  it('come out once when several runs transfer the same one at the same moment', async () => {
    for (let seed = 1; seed <= 15; seed += 1) {
      const world = openWorld()
      const random = seededRandom(seed)
      pauseRandomly(world.vault, random)
      pauseRandomly(world.control, random)
      const disk = sampleDisk(seed, 60)
      const reader = () => memoryDiskReader(disk.bytes, disk.ranges)
      const plans = await Promise.all([plan(world, reader()), plan(world, reader()), plan(world, reader())])
      expect(new Set(plans.map((made) => made.run)).size, `seed ${seed}`).toBe(1)
      for (let slice = 0; slice < plans[0].slices; slice += 1) {
        const stats = await Promise.all([0, 1, 2].map(() => move(world, reader(), slice)))
        expect(stats[1]).toEqual(stats[0])
        expect(stats[2]).toEqual(stats[0])
      }
      const sealed = await Promise.all([seal(world), seal(world)])
      expect(sealed[1]).toEqual(sealed[0])
      const restored = await readAll(world, sealed[0].stack, disk.bytes.length)
      expect(restored.equals(disk.bytes), `seed ${seed}`).toBe(true)
    }
  })

  it('go by one plan even when two planning runs were told different ranges', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const world = openWorld()
      pauseRandomly(world.control, seededRandom(seed))
      const disk = sampleDisk(seed, 80)
      const wider = [{ offsetBytes: 0, lengthBytes: disk.bytes.length, kind: 'data' as const }]
      const [exact, superset] = [memoryDiskReader(disk.bytes, disk.ranges), memoryDiskReader(disk.bytes, wider)]
      const plans = await Promise.all([plan(world, exact, 15), plan(world, superset, 15)])
      expect(plans[1]).toEqual(plans[0])
      for (let slice = 0; slice < plans[0].slices; slice += 1) await move(world, exact, slice)
      const sealed = await seal(world)
      expect((await readAll(world, sealed.stack, disk.bytes.length)).equals(disk.bytes), `seed ${seed}`).toBe(true)
    }
  })

  it('are not read again once they are committed', async () => {
    const world = openWorld()
    const disk = sampleDisk(3)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    await plan(world, reader)
    const first = await move(world, reader, 0)
    const { readCalls } = reader.counters
    expect(await move(world, reader, 0)).toEqual(first)
    expect({ kind: 'transferred', ...(await findSlice(world.vault, { ...key, slice: 0 })) }).toEqual(first)
    expect(reader.counters.readCalls).toBe(readCalls)
  })

  it('stop when asked, between two reads, and leave nothing that counts', async () => {
    const world = openWorld()
    const disk = sampleDisk(4)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    await plan(world, reader, 1000)
    let asked = 0
    const clock = virtualClock()
    const passing = {
      ...clock,
      now: () => {
        clock.advance(3_000)
        return clock.now()
      },
    }
    const request = { ...key, jobId: 'job', slice: 0, tuning: small, shouldStop: async () => ++asked > 2 }
    const stopped = await transferSlice({ ...world, reader, clock: passing }, request)
    expect(stopped).toEqual({ kind: 'stopped' })
    expect(asked).toBe(3)
    expect(await findSlice(world.vault, { ...key, slice: 0 })).toBeNull()
  })

  it('stop at once when asked before they begin', async () => {
    const world = openWorld()
    const disk = sampleDisk(4)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    await plan(world, reader)
    const request = { ...key, jobId: 'job', slice: 0, shouldStop: async () => true }
    expect(await transferSlice({ ...world, reader }, request)).toEqual({ kind: 'stopped' })
    expect(reader.counters.readCalls).toBe(0)
  })

  it('pass a failure of the source on, without a word of their own', async () => {
    const world = openWorld()
    const disk = sampleDisk(5)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    await plan(world, reader)
    const broken: DiskReader = { ...reader, readInto: async () => Promise.reject(new Error('the source is gone')) }
    await expect(move(world, broken, 0)).rejects.toThrow('the source is gone')
    expect(await move(world, reader, 0)).toMatchObject({ kind: 'transferred' })
  })

  it('tell honestly how far they are', async () => {
    const world = openWorld()
    const disk = sampleDisk(6)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    await plan(world, reader, 1000)
    const seen: { doneBytes: number; totalBytes: number }[] = []
    const onProgress = (progress: { doneBytes: number; totalBytes: number }): void => void seen.push(progress)
    const moved = await transferSlice(
      { ...world, reader },
      { ...key, jobId: 'job', slice: 0, tuning: small, onProgress },
    )
    const done = seen.map(({ doneBytes }) => doneBytes)
    expect(done).toEqual([...done].sort((a, b) => a - b))
    expect(moved).toMatchObject({ changedBytes: done.at(-1) })
    expect(seen.at(-1)).toMatchObject({ totalBytes: done.at(-1) })
  })
})

describe('a plan', () => {
  it('is listed once: a second run finds it', async () => {
    const world = openWorld()
    const disk = sampleDisk(7)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    const first = await plan(world, reader)
    const { listCalls } = reader.counters
    expect(await plan(world, reader)).toEqual(first)
    expect(reader.counters.listCalls).toBe(listCalls)
  })

  it.each([
    [
      'out of order',
      [
        { offsetBytes: 8192, lengthBytes: 512, kind: 'data' },
        { offsetBytes: 0, lengthBytes: 512, kind: 'data' },
      ],
    ],
    [
      'overlapping',
      [
        { offsetBytes: 0, lengthBytes: 1024, kind: 'data' },
        { offsetBytes: 512, lengthBytes: 512, kind: 'clear' },
      ],
    ],
    ['behind the disk', [{ offsetBytes: 2 * mib - 512, lengthBytes: 1024, kind: 'data' }]],
    ['one byte short', [{ offsetBytes: 0, lengthBytes: 511, kind: 'data' }]],
  ] as const)('refuses ranges that are %s', async (_, ranges) => {
    const world = openWorld()
    const refused = plan(world, memoryDiskReader(Buffer.alloc(2 * mib), ranges))
    await expect(refused).rejects.toMatchObject({ name: 'VaultError', fault: { code: 'bad-ranges' } })
  })
})

describe('sealing', { timeout: 60_000 }, () => {
  it('names the slice that is not committed', async () => {
    const world = openWorld()
    const disk = sampleDisk(8)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    await plan(world, reader)
    await move(world, reader, 0)
    await expect(seal(world)).rejects.toMatchObject({ fault: { code: 'object-missing', name: 'slices/r1/os/000001' } })
  })

  it('finds a damaged slice index', async () => {
    const world = await movedWorld(sampleDisk(9, 40))
    const name = 'slices/r1/os/000000'
    const bytes = Buffer.from(world.vault.objects.get(name)?.bytes ?? [])
    for (let at = 0; at < bytes.length; at += 1) {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] ?? 0) ^ 4
      world.vault.objects.set(name, { bytes: copy, etag: 'damaged' })
      const error = await seal(world).catch((caught: unknown) => caught)
      expect(error, `at ${at}`).toBeInstanceOf(VaultError)
      expect((error as VaultError).fault).toMatchObject({ name })
    }
    world.vault.objects.set(name, { bytes, etag: 'sound' })
    expect(await seal(world)).toMatchObject({ kind: 'sealed' })
  })

  it('makes the same layer in one call and in many parts, also for a store that looks before it takes them', async () => {
    const disk = sampleDisk(13)
    const whole = await seal(await movedWorld(disk))
    const world = await movedWorld(disk)
    const request = { ...key, parentStack: [], fullReason: null, partBytes: 300 }
    expect(await sealDisk(world, request)).toEqual(whole)
    expect(world.vault.calls.at(-1)).toMatchObject({ operation: 'createFromStream', name: 'layers/r1/os' })
    const looking = {
      ...world.vault,
      createFromStream: async (_: string, parts: AsyncIterable<Uint8Array>) => {
        for await (const part of parts) if (part.length > 0) break
        return 'exists' as const
      },
    }
    expect(await sealDisk({ ...world, vault: looking }, request)).toEqual(whole)
    expect((await readAll(world, whole.stack, disk.bytes.length)).equals(disk.bytes)).toBe(true)
  })

  it('does not take another layer under its name for its own', async () => {
    const world = await movedWorld(sampleDisk(9, 40))
    const sealed = await seal(world)
    const name = 'layers/r1/os'
    const lengthBytes = sealed.layer?.lengthBytes ?? 0
    world.vault.objects.set(name, { bytes: Buffer.alloc(lengthBytes), etag: 'other' })
    await expect(seal(world)).rejects.toMatchObject({ fault: { code: 'twin-differs', name } })
    world.vault.objects.set(name, { bytes: Buffer.alloc(lengthBytes - 1), etag: 'other' })
    await expect(seal(world)).rejects.toMatchObject({ fault: { code: 'short', name } })
  })

  it('takes nothing over from a base when the transfer was full', async () => {
    const world = openWorld()
    const disk = sampleDisk(10)
    const reader = memoryDiskReader(disk.bytes, disk.ranges)
    const { slices } = await plan(world, reader)
    for (let slice = 0; slice < slices; slice += 1) await move(world, reader, slice)
    const parent = { layerId: 'r0/os', lengthBytes: 1, footerBytes: 1, digest: '0'.repeat(64) }
    const sealed = await sealDisk(world, { ...key, parentStack: [parent], fullReason: 'disk-recreated' })
    expect(sealed.stack).toEqual([sealed.layer])
  })
})

const tib = 1024 ** 4
const page = 4096

/** Pages of bytes that do not compress, the same for the same offset. */
const fillPages = (target: Uint8Array, offsetBytes: number): void => {
  for (let at = 0; at < target.length; at += page)
    target.set(seededRandom((offsetBytes + at) / page).bytes(Math.min(page, target.length - at)), at)
}

const scatteredPages = (sizeBytes: number, pages: number): ChangedRange[] => {
  const step = Math.floor(sizeBytes / pages / page) * page
  return Array.from({ length: pages }, (_, index) => ({ offsetBytes: index * step, lengthBytes: page, kind: 'data' }))
}

const storedBytes = (store: MemoryBlobStore): number =>
  [...store.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0)

const transferScattered = async (sizeBytes: number, pages: number) => {
  const world = openWorld()
  const reader = generatedDiskReader(sizeBytes, scatteredPages(sizeBytes, pages), fillPages)
  const request = { ...key, hasBase: true, sliceBytes: 1024 * mib }
  const { slices } = await planDisk({ ...world, reader }, request)
  for (let slice = 0; slice < slices; slice += 1)
    await transferSlice({ ...world, reader }, { ...key, jobId: 'job', slice })
  const sealed = await seal(world)
  return { world, sealed, calls: world.vault.calls.length + world.control.calls.length }
}

describe('the cost of a recovery point', { timeout: 60_000 }, () => {
  it('stays under 1.01 bytes stored for each byte changed, index and all, for scattered pages that do not compress', async () => {
    const pages = 4000
    const { world, sealed } = await transferScattered(tib, pages)
    const ratio = storedBytes(world.vault) / (pages * page)
    expect(ratio).toBeGreaterThan(1)
    expect(ratio).toBeLessThanOrEqual(1.01)
    expect(sealed.report.storedBytes).toBe(storedBytes(world.vault))
    expect(sealed.report.readBytes).toBe(pages * page)
  })

  it('does not grow with the disk', async () => {
    const small32GiB = await transferScattered(tib / 32, 1500)
    const large32TiB = await transferScattered(32 * tib, 1500)
    expect(large32TiB.calls).toBe(small32GiB.calls)
    expect(storedBytes(large32TiB.world.vault) / storedBytes(small32GiB.world.vault)).toBeLessThan(1.01)
  })

  it('is under 20 storage calls when nothing changed on a disk of 32 TiB', async () => {
    const world = openWorld()
    const reader = generatedDiskReader(32 * tib, [], fillPages)
    const parent = { layerId: 'r0/os', lengthBytes: 1, footerBytes: 1, digest: '0'.repeat(64) }
    const made = await planDisk({ ...world, reader }, { ...key, hasBase: true, sliceBytes: mib })
    const sealed = await sealDisk(world, { ...key, parentStack: [parent], fullReason: null })
    expect(made).toMatchObject({ slices: 0, changedBytes: 0 })
    expect(sealed).toMatchObject({ layer: null, stack: [parent] })
    expect(world.vault.calls.length + world.control.calls.length).toBeLessThan(10)
    expect(world.vault.objects.size).toBe(0)
  })

  it('is under 20 storage calls for a whole backup of a VM that did not change', async () => {
    const world = openWorld()
    const disk = sampleDisk(12)
    const base: RecoveryPoint = await backUp(world, {
      recoveryPointId: 'r1',
      base: null,
      disks: [{ disk: 'os', ...disk }],
    })
    const [vault, control] = [world.vault.reopen(), world.control.reopen()]
    const unchanged = { recoveryPointId: 'r2', base, disks: [{ disk: 'os', bytes: disk.bytes, ranges: [] }] }
    const point = await backUp({ ...world, vault, control }, unchanged)
    expect(vault.calls.length + control.calls.length).toBeLessThan(20)
    expect((await restoreDisk(vault, point, 'os')).equals(disk.bytes)).toBe(true)
  })

  it('is one zero run, not bytes, for a cleared or zeroed range', async () => {
    const world = openWorld()
    const ranges = [
      { offsetBytes: 0, lengthBytes: 64 * mib, kind: 'clear' as const },
      { offsetBytes: 64 * mib, lengthBytes: mib, kind: 'data' as const },
    ]
    const reader = generatedDiskReader(tib, ranges, (target) => target.fill(0))
    await planDisk({ ...world, reader }, { ...key, hasBase: true, sliceBytes: 64 * mib })
    const moved = await transferSlice({ ...world, reader }, { ...key, jobId: 'job', slice: 0 })
    expect(moved).toMatchObject({ dataBytes: 0, zeroBytes: 65 * mib, frames: 0 })
    expect(storedBytes(world.vault)).toBeLessThan(1000)
  })
})
