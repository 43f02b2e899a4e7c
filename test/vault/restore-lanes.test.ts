import { beforeAll, describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { type KeyRing, keyRingOf } from '../../shared/format/data-key.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import type { BlobReader } from '../../shared/ports/blob-store.ts'
import type { DiskWriter } from '../../shared/ports/disk-writer.ts'
import type { Layer } from '../../shared/vault/layer-reader.ts'
import { type RestoreLane, restoreLane, type WrittenPart } from '../../shared/vault/restore-lane.ts'
import { createRestoreParts, cutPieces } from '../../shared/vault/restore-parts.ts'
import { restoreRange } from '../../shared/vault/restore-range.ts'
import { allocatedRanges, applyWrites } from '../support/disk-history.ts'
import { fc } from '../support/fast-check.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { memoryDiskWriter } from '../support/memory-disk.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp, mib } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const random = seededRandom(2211)
const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
const sizeBytes = 24 * mib
let bytes: Buffer
let point: RecoveryPoint

/** Noise with a hole, then scattered pages over it. */
beforeAll(async () => {
  const first = random.bytes(sizeBytes)
  first.fill(0, 9 * mib, 12 * mib)
  const base = await backUp(stores, {
    recoveryPointId: 'r1',
    base: null,
    disks: [{ disk: 'os', bytes: first, ranges: allocatedRanges(first) }],
  })
  const writes = Array.from({ length: 200 }, () => {
    const offsetBytes = random.below(sizeBytes / 4096) * 4096
    return { kind: 'data', offsetBytes, bytes: random.bytes(4096) } as const
  })
  const after = applyWrites(first, writes)
  point = await backUp(stores, { recoveryPointId: 'r2', base, disks: [{ disk: 'os', ...after }] })
  bytes = after.bytes
})

interface Run {
  readonly writer: ReturnType<typeof memoryDiskWriter>
  readonly lanes?: number
  readonly vault?: BlobReader
  readonly keys?: KeyRing
  readonly signal?: AbortSignal
  /** Stands in for the writer of the lanes elsewhere. */
  readonly elsewhere?: DiskWriter
  readonly parts?: (readonly [lane: number, written: WrittenPart])[]
}

/** One step, with lanes that take turns with the one here. */
const step = (run: Run, fromOffsetBytes: number, budgetBytes: number) => {
  const { writer, lanes = 1, vault = stores.vault, keys, signal, elsewhere = writer, parts = [] } = run
  const noting = (lane: RestoreLane, number: number): RestoreLane => ({
    ...lane,
    nextPart: (written) => {
      if (written !== null) parts.push([number, written])
      return lane.nextPart(written)
    },
  })
  const startLanes = (lane: RestoreLane) =>
    Array.from({ length: lanes - 1 }, (_, at) => restoreLane({ vault, writer: elsewhere }, noting(lane, at)))
  const request = { recoveryPoint: point, disk: 'os', fromOffsetBytes, budgetBytes }
  const deps = { vault, writer, startLanes, ...(keys === undefined ? {} : { keys }) }
  return restoreRange(deps, { ...request, ...(signal === undefined ? {} : { signal }) })
}

describe('a restore in several lanes', () => {
  it.each([
    [1, 64 * mib],
    [2, 64 * mib],
    [3, 5 * mib],
    [4, mib],
  ])(
    'with %i of them and a budget of %i bytes writes the disk, and at each step all before its end',
    async (lanes, budget) => {
      const run = { writer: memoryDiskWriter(sizeBytes), lanes }
      let writtenBytes = 0
      for (let at = 0; ; ) {
        const range = await step(run, at, budget)
        expect(run.writer.bytes.compare(bytes, 0, range.nextOffsetBytes, 0, range.nextOffsetBytes)).toBe(0)
        writtenBytes += range.writtenBytes
        expect(writtenBytes).toBe(run.writer.counters.writtenBytes)
        if (range.kind === 'written') break
        expect(range.nextOffsetBytes).toBeGreaterThan(at)
        at = range.nextOffsetBytes
      }
      expect(run.writer.bytes.equals(bytes)).toBe(true)
      // What was written twice would show here.
      expect(writtenBytes).toBeLessThan(sizeBytes - 2 * mib)
    },
  )

  it('is shared between them, each part written by one', async () => {
    const parts: (readonly [number, WrittenPart])[] = []
    await step({ writer: memoryDiskWriter(sizeBytes), lanes: 3, parts }, 0, 64 * mib)
    expect(new Set(parts.map(([lane]) => lane))).toEqual(new Set([0, 1]))
    const sorted = parts.map(([, part]) => part).sort((a, b) => a.offsetBytes - b.offsetBytes)
    for (const [at, part] of sorted.entries())
      expect(part.offsetBytes).toBeGreaterThanOrEqual(sorted[at - 1]?.nextOffsetBytes ?? 0)
  })

  it('ends all of them when one fails, with its error, and leaves nothing in flight', async () => {
    let inFlight = 0
    const target = memoryDiskWriter(sizeBytes)
    const slow: DiskWriter = {
      ...target,
      write: async (...call) => {
        inFlight += 1
        await new Promise((resolve) => setTimeout(resolve, 2))
        await target.write(...call)
        inFlight -= 1
      },
    }
    const fault = new VaultError({ code: 'object-missing', name: 'segments/x' })
    const failing: DiskWriter = { ...target, write: () => Promise.reject(fault) }
    const failed = step({ writer: { ...slow, bytes: target.bytes }, lanes: 2, elsewhere: failing }, 0, 64 * mib)
    await expect(failed).rejects.toBe(fault)
    expect(inFlight).toBe(0)
    expect(target.counters.writtenBytes).toBeLessThan(sizeBytes / 2)
  })

  it('ends with the reason of the signal', async () => {
    const stop = new AbortController()
    const target = memoryDiskWriter(sizeBytes)
    const writer = {
      ...target,
      write: async (...call: Parameters<DiskWriter['write']>) => {
        stop.abort(new Error('the host shuts down'))
        await target.write(...call)
      },
    }
    await expect(step({ writer, lanes: 2, signal: stop.signal }, 0, 64 * mib)).rejects.toThrow('the host shuts down')
  })

  it('says why a key is not there, which only the one here knows', async () => {
    const locked = new VaultError({ code: 'key-locked', name: 'keys/k', keyId: 'k', detail: 'revoked' })
    const ring: KeyRing = {
      current: null,
      find: () => {
        throw locked
      },
    }
    const missing = (): never => keyRingOf([]).find('ab'.repeat(16)) as never
    const failing: DiskWriter = { ...memoryDiskWriter(sizeBytes), write: async () => missing() }
    const writer = memoryDiskWriter(sizeBytes)
    await expect(step({ writer, lanes: 2, elsewhere: failing, keys: ring }, 0, 64 * mib)).rejects.toBe(locked)
    await expect(step({ writer, lanes: 2, elsewhere: failing }, 0, 64 * mib)).rejects.toMatchObject({
      fault: { code: 'key-missing' },
    })
  })
})

const layer = fc
  .array(
    fc.record({ gap: fc.nat(40), span: fc.integer({ min: 1, max: 60 }), frames: fc.integer({ min: 0, max: 256 }) }),
    {
      maxLength: 20,
    },
  )
  .map((shards): Layer => {
    let at = 0
    const fences = shards.map(({ gap, span, frames }) => {
      const firstBytes = at + gap * mib
      at = firstBytes + span * mib
      return { firstBytes, endBytes: at, frames, placeBytes: 0, lengthBytes: 1, digest: new Uint8Array(32) }
    })
    const frames = fences.reduce((sum, fence) => sum + fence.frames, 0)
    const footer = { shards: fences.length, frames, dataBytes: frames * mib, fence: (index: number) => fences[index] }
    return { name: 'layer', footer } as unknown as Layer
  })

describe('the pieces of a step', () => {
  it('follow each other to the end of the window, or to the budget, and are no more than fit into it', () => {
    const window = fc.record({ from: fc.nat(900), length: fc.nat(900) })
    const budgets = fc.constantFrom(mib, 64 * mib, 512 * mib, 1e6 * mib)
    fc.assert(
      fc.property(fc.array(layer, { maxLength: 4 }), window, budgets, (layers, { from, length }, budget) => {
        const offsetBytes = from * mib
        const ends = cutPieces(layers, { offsetBytes, lengthBytes: length * mib }, budget)
        for (const [at, end] of ends.entries()) expect(end).toBeGreaterThan(ends[at - 1] ?? offsetBytes)
        expect(ends.length).toBeLessThanOrEqual(65)
        expect(ends.length > 0).toBe(length > 0)
        if (budget === 1e6 * mib && length > 0) expect(ends.at(-1)).toBe(offsetBytes + length * mib)
      }),
    )
  })

  it('are taken in order, fewer at a time towards the end, and no more once a part was not written whole', () => {
    const ends = Array.from({ length: 16 }, (_, at) => (at + 1) * 10)
    const parts = createRestoreParts(0, ends, 1e9, () => 2)
    const taken = [parts.take(null), parts.take(null), parts.take(null)]
    expect(taken.map((part) => part?.lengthBytes)).toEqual([40, 30, 30])
    expect(parts.take({ offsetBytes: 0, nextOffsetBytes: 40, writtenBytes: 1 })).toEqual({
      offsetBytes: 100,
      lengthBytes: 20,
    })
    expect(parts.take({ offsetBytes: 40, nextOffsetBytes: 55, writtenBytes: 2 })).toBeNull()
    expect(parts.take({ offsetBytes: 70, nextOffsetBytes: 100, writtenBytes: 3 })).toBeNull()
    expect(parts.result()).toEqual({ nextOffsetBytes: 55, writtenBytes: 6 })
  })
})
