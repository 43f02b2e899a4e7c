/** Frames that are expanded where they are written from: each test compares the disk, or looks at which memory the bytes came in. */
import { describe, expect, it } from 'vitest'
import type { DiskWriter } from '../../shared/ports/disk-writer.ts'
import { openStack, readStackInGroups } from '../../shared/vault/stack.ts'
import { createWriteJoiner } from '../../shared/vault/write-joiner.ts'
import { allocatedRanges, applyWrites, type DiskWrite } from '../support/disk-history.ts'
import { fc } from '../support/fast-check.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { memoryDiskWriter } from '../support/memory-disk.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp, mib } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const sizeBytes = 4 * mib
const page = 4096

/** A disk of text and noise, and writes on top of it, each list a recovery point of its own. */
const stackOf = async (days: readonly (readonly DiskWrite[])[]) => {
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  let bytes: Buffer = Buffer.alloc(sizeBytes, 'rows of text, all alike ')
  bytes.set(seededRandom(31).bytes(mib + page), 2 * mib)
  const ranges = allocatedRanges(bytes)
  let point = await backUp(stores, { recoveryPointId: 'r0', base: null, disks: [{ disk: 'os', bytes, ranges }] })
  for (const [day, writes] of days.entries()) {
    const after = applyWrites(bytes, writes)
    point = await backUp(stores, { recoveryPointId: `r${day + 1}`, base: point, disks: [{ disk: 'os', ...after }] })
    bytes = after.bytes
  }
  return { bytes, stack: await openStack(stores.vault, point.disks[0] ?? expect.unreachable()) }
}

/** Reads a window and writes it through a joiner. @returns what it came to, and how many bytes lay in memory that the joiner had given */
const restored = async (from: Awaited<ReturnType<typeof stackOf>>, offsetBytes = 0, lengthBytes = sizeBytes) => {
  const target = memoryDiskWriter(sizeBytes)
  const joiner = createWriteJoiner(target, {})
  const given = new Set<ArrayBufferLike>()
  const memoryAt: typeof joiner.memoryAt = async (...place) => {
    const memory = await joiner.memoryAt(...place)
    if (memory !== null) given.add(memory.buffer)
    return memory
  }
  let inPlaceBytes = 0
  for await (const parts of readStackInGroups(from.stack, { offsetBytes, lengthBytes }, { memoryAt })) {
    for (const { bytes } of parts) if (bytes !== null && given.has(bytes.buffer)) inPlaceBytes += bytes.length
    await joiner.add(parts)
  }
  await joiner.finish()
  return { disk: target.bytes, inPlaceBytes, writes: target.counters.writeCalls }
}

const data = (offsetBytes: number, lengthBytes: number, seed = 1): DiskWrite => ({
  kind: 'data',
  offsetBytes,
  bytes: seededRandom(seed).bytes(lengthBytes),
})

describe('a frame whose bytes belong to one place of the disk', () => {
  it('is expanded into the write itself', async () => {
    const of = await stackOf([])
    const { disk, inPlaceBytes, writes } = await restored(of)
    expect(disk.equals(of.bytes)).toBe(true)
    expect([inPlaceBytes, writes]).toEqual([sizeBytes, 2])
  })

  it('takes newer pages on top', async () => {
    const of = await stackOf([[data(5 * page, page), data(40 * page, 2 * page), data(sizeBytes - 9 * page, page)]])
    const { disk, inPlaceBytes } = await restored(of)
    expect(disk.equals(of.bytes)).toBe(true)
    expect(inPlaceBytes).toBe(sizeBytes - 4 * page)
  })

  it('keeps its bytes where a newer frame, whole as well, lies in the midst of it', async () => {
    const of = await stackOf([[data(32 * page, 16 * page)]])
    const { disk, inPlaceBytes } = await restored(of)
    expect(disk.equals(of.bytes)).toBe(true)
    expect(inPlaceBytes).toBe(sizeBytes - 16 * page)
  })

  it.each([
    // The page that hides it is a frame of its own, in its place.
    ['its first page is hidden', data(0, page), page],
    ['its last page is hidden', data(mib - page, page), page],
    ['zeros lie in the midst of it', { kind: 'clear', offsetBytes: 20 * page, lengthBytes: 30 * page } as DiskWrite, 0],
  ])('is copied where %s', async (_why, write, newerBytes) => {
    const of = await stackOf([[write]])
    const { disk, inPlaceBytes } = await restored(of)
    expect(disk.equals(of.bytes)).toBe(true)
    expect(inPlaceBytes).toBe(sizeBytes - mib + newerBytes)
  })

  it('is copied where the window cuts it', async () => {
    const of = await stackOf([])
    const { disk, inPlaceBytes } = await restored(of, page, sizeBytes - 2 * page)
    expect(disk.subarray(page, sizeBytes - page).equals(of.bytes.subarray(page, sizeBytes - page))).toBe(true)
    expect(inPlaceBytes).toBe(2 * mib)
  })

  it('of random layers is the disk', async () => {
    const write = fc.record({
      isClear: fc.boolean(),
      page: fc.integer({ min: 0, max: sizeBytes / page - 1 }),
      pages: fc.integer({ min: 1, max: 300 }),
      seed: fc.integer({ min: 1, max: 99 }),
    })
    const writes = fc.array(write, { maxLength: 8 }).map((chosen) =>
      chosen.map(({ isClear, page: first, pages, seed }): DiskWrite => {
        const lengthBytes = Math.min(pages, sizeBytes / page - first) * page
        if (isClear) return { kind: 'clear', offsetBytes: first * page, lengthBytes }
        return data(first * page, lengthBytes, seed)
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(writes, { minLength: 1, maxLength: 4 }), async (days) => {
        const of = await stackOf(days)
        const { disk } = await restored(of)
        expect(disk.equals(of.bytes)).toBe(true)
      }),
      { numRuns: 12 },
    )
  })
})

describe('memory for bytes that are to be written', () => {
  const joiner = (writes: [number, Buffer][] = []) => {
    const target = memoryDiskWriter(sizeBytes)
    const writer: DiskWriter = {
      ...target,
      write: async (offsetBytes, bytes) => void writes.push([offsetBytes, Buffer.from(bytes)]),
    }
    return createWriteJoiner(writer, {})
  }

  it('follows what was added, a small hole of zeros between them, while all fits into one write', async () => {
    const writes: [number, Buffer][] = []
    const joined = joiner(writes)
    await joined.add([{ offsetBytes: 0, bytes: Buffer.alloc(page, 1) }])
    const memory = (await joined.memoryAt(2 * page, page)) ?? expect.unreachable()
    expect(memory.length).toBe(page + 1)
    memory.fill(3, 0, page)
    await joined.add([{ offsetBytes: 2 * page, bytes: memory.subarray(0, page) }])
    await joined.finish()
    expect(writes).toEqual([[0, Buffer.concat([Buffer.alloc(page, 1), Buffer.alloc(page), Buffer.alloc(page, 3)])]])
  })

  it('begins another write where it does not', async () => {
    const writes: [number, Buffer][] = []
    const joined = joiner(writes)
    await joined.add([{ offsetBytes: 0, bytes: Buffer.alloc(page, 1) }])
    const memory = (await joined.memoryAt(page, 2 * mib)) ?? expect.unreachable()
    memory.fill(2)
    await joined.add([{ offsetBytes: page, bytes: memory.subarray(0, 2 * mib) }])
    await joined.finish()
    expect(writes.map(([offsetBytes, bytes]) => [offsetBytes, bytes.length])).toEqual([
      [0, page],
      [page, 2 * mib],
    ])
  })

  it('takes bytes of any length, and leaves zeros out where that saves a write', async () => {
    const writes: [number, Buffer][] = []
    const joined = joiner(writes)
    const bytes = seededRandom(7).bytes(3 * mib)
    await joined.add([
      { offsetBytes: 0, bytes: bytes.subarray(0, page) },
      { offsetBytes: page, bytes: null },
      { offsetBytes: page * 2, bytes: bytes.subarray(page * 2, 3 * mib - page) },
      { offsetBytes: 3 * mib - page, bytes: null },
      { offsetBytes: 3 * mib, bytes: bytes.subarray(0, page) },
      { offsetBytes: 3 * mib + page * 10, bytes: bytes.subarray(0, page) },
    ])
    await joined.finish()
    const disk = Buffer.alloc(sizeBytes)
    for (const [offsetBytes, written] of writes) disk.set(written, offsetBytes)
    const expected = Buffer.alloc(sizeBytes)
    expected.set(bytes)
    expected.fill(0, page, page * 2).fill(0, 3 * mib - page)
    for (const offsetBytes of [3 * mib, 3 * mib + page * 10]) expected.set(bytes.subarray(0, page), offsetBytes)
    expect(disk.equals(expected)).toBe(true)
    expect(writes.map(([offsetBytes, { length }]) => [offsetBytes, length])).toEqual([
      [0, 2 * mib],
      [2 * mib, mib + page],
      [3 * mib + page * 10, page],
    ])
  })

  it('is not given for more than a write holds, nor among bytes that were given memory', async () => {
    const joined = joiner()
    expect(await joined.memoryAt(0, 2 * mib + 512)).toBeNull()
    expect(await joined.memoryAt(0, 8 * page)).not.toBeNull()
    await joined.add([{ offsetBytes: 0, bytes: Buffer.alloc(page) }])
    expect(await joined.memoryAt(page, page)).toBeNull()
  })
})
