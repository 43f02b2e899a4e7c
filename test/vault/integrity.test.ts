import { beforeAll, describe, expect, it } from 'vitest'
import { VaultError } from '../../shared/format/vault-error.ts'
import type { BlobContent } from '../../shared/ports/blob-store.ts'
import { latestRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { allocatedRanges, applyWrites, type DiskWrite } from '../support/disk-history.ts'
import { createMemoryBlobStore, type MemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp, mib, restoreDisk, vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** A small vault of a full and an increment, made once; each case damages a copy of it and restores the newest recovery point. A
 * restore has only two ways to end: the right bytes, or a VaultError. */
const random = seededRandom(11)
const write = (page: number, pages: number, compressible = false): DiskWrite => {
  const bytes = compressible ? Buffer.alloc(pages * 4096, 'compressible ') : random.bytes(pages * 4096)
  return { kind: 'data', offsetBytes: page * 4096, bytes }
}
const full = applyWrites(Buffer.alloc(mib / 2), [write(0, 3), write(10, 20, true), write(64, 2)])
const later = applyWrites(full.bytes, [
  write(1, 1),
  { kind: 'clear', offsetBytes: 12 * 4096, lengthBytes: 8192 },
  write(70, 2, true),
])

let objects: Map<string, BlobContent>
beforeAll(async () => {
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const tuning = { frameCapacityBytes: 16 * 1024, segmentBytes: 40 * 1024, shardFramesMax: 2 }
  const first = {
    recoveryPointId: 'r1',
    disks: [{ disk: 'os', bytes: full.bytes, ranges: allocatedRanges(full.bytes) }],
    base: null,
    tuning,
  }
  const base = await backUp(stores, first)
  await backUp(stores, { recoveryPointId: 'r2', disks: [{ disk: 'os', ...later }], base, tuning })
  objects = stores.vault.objects
})

const restored = async (store: MemoryBlobStore): Promise<'right' | 'wrong' | 'absent' | string> => {
  try {
    const found = await latestRecoveryPoint(store, vmKey)
    if (found?.recoveryPoint.recoveryPointId !== 'r2') return 'absent'
    const bytes = await restoreDisk(store, found.recoveryPoint, 'os')
    return bytes.equals(later.bytes) ? 'right' : 'wrong'
  } catch (error) {
    if (error instanceof VaultError) return error.fault.code
    throw error
  }
}

const damaged = (changes: Record<string, Uint8Array | null>): MemoryBlobStore => {
  const copy = new Map(objects)
  for (const [name, bytes] of Object.entries(changes)) {
    if (bytes === null) copy.delete(name)
    else copy.set(name, { bytes, etag: 'damaged' })
  }
  return createMemoryBlobStore(copy)
}

const bytesOf = (name: string): Uint8Array => objects.get(name)?.bytes ?? Buffer.alloc(0)
const under = (prefix: string): string[] => [...objects.keys()].filter((name) => name.startsWith(prefix))
const flipped = (name: string, at: number, bit: number): Uint8Array => {
  const copy = Buffer.from(bytesOf(name))
  copy[at] = (copy[at] ?? 0) ^ (1 << bit)
  return copy
}
const newestRecord = 'recovery-points/vm-000000000000/r2/0001.json'

describe('a damaged vault', { timeout: 60_000 }, () => {
  it('restores the right bytes while nothing is damaged', async () => {
    expect(await restored(damaged({}))).toBe('right')
  })

  it('finds every flipped bit of a layer or of the newest commit record', async () => {
    for (const name of [...under('layers/'), newestRecord]) {
      for (let at = 0; at < bytesOf(name).length; at += 1) {
        const outcome = await restored(damaged({ [name]: flipped(name, at, random.below(8)) }))
        expect(['right', 'wrong', 'absent'], `${name} at ${at}: ${outcome}`).not.toContain(outcome)
      }
    }
  })

  it('never hands out a flipped bit of a segment', async () => {
    const outcomes = new Map<string, number>()
    for (const name of under('segments/')) {
      for (let at = 0; at < bytesOf(name).length; at += 1 + random.below(61)) {
        const outcome = await restored(damaged({ [name]: flipped(name, at, random.below(8)) }))
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }
    expect(outcomes.get('wrong') ?? 0).toBe(0)
    expect(outcomes.get('absent') ?? 0).toBe(0)
    expect(outcomes.get('digest-mismatch') ?? 0).toBeGreaterThan(100)
  })

  it('finds every cut of an object', async () => {
    for (const name of [...under('layers/'), ...under('segments/'), newestRecord]) {
      const { length } = bytesOf(name)
      for (const kept of [0, 1, length >>> 1, length - 45, length - 1]) {
        const outcome = await restored(damaged({ [name]: bytesOf(name).subarray(0, Math.max(0, kept)) }))
        const isInDirectory = name.startsWith('segments/') && outcome === 'right'
        expect(['wrong', 'absent']).not.toContain(outcome)
        if (!isInDirectory)
          expect(['short', 'malformed', 'digest-mismatch'], `${name} cut to ${kept}`).toContain(outcome)
      }
    }
  })

  it('names every missing object', async () => {
    for (const name of [...under('layers/'), ...under('segments/')])
      expect(await restored(damaged({ [name]: null })), name).toBe('object-missing')
    expect(await restored(damaged({ [newestRecord]: null }))).toBe('absent')
  })

  it('finds objects that have changed places', async () => {
    for (const prefix of ['layers/', 'segments/', 'recovery-points/']) {
      const names = under(prefix)
      for (const [index, first] of names.entries()) {
        for (const second of names.slice(index + 1)) {
          const outcome = await restored(damaged({ [first]: bytesOf(second), [second]: bytesOf(first) }))
          expect(['right', 'wrong', 'absent'], `${first} and ${second}`).not.toContain(outcome)
        }
      }
    }
  })
})
