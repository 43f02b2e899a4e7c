import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { collectGarbage } from '../../shared/vault/collect-garbage.ts'
import { compactVm } from '../../shared/vault/compact-vm.ts'
import { readRecoveryPoint } from '../../shared/vault/recovery-points.ts'
import { backUpWrites, type CompactionWorld, expectExact, expire, type Truth } from '../support/compaction-world.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { distinctBytes, readShare, storedSegmentBytes } from '../support/regather-measures.ts'
import { type SeededRandom, seededRandom } from '../support/seeded-random.ts'
import { vmKey } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** Dailies of a disk whose first quarter is written over and over, page by page; seven days, four weeks and all four-week periods are kept, and
 * maintenance comes once a week. Without regathering a restore reads 6 times what it shows after half a year. SOAK=1 for the whole year. */
const days = process.env.SOAK === '1' ? 364 : 112
const diskPages = 256
const pagesADay = 16
const pageBytes = 4096

const isKept = (day: number, today: number): boolean => {
  const age = today - day
  return age < 7 || (age < 28 && day % 7 === 0) || day % 28 === 0
}

const writesOf = (random: SeededRandom) => () =>
  Array.from({ length: pagesADay }, () => ({
    kind: 'data' as const,
    offsetBytes: random.below(random.below(16) === 0 ? diskPages : diskPages / 4) * pageBytes,
    bytes: random.bytes(pageBytes),
  }))

const newWorld = (): CompactionWorld => ({
  vault: createMemoryBlobStore(undefined, undefined, 1000),
  control: createMemoryBlobStore(undefined, undefined, 1000),
})

describe('dailies that write the same places again and again', { timeout: 600_000 }, () => {
  it('are read, stored and written again in proportion to what they show', async () => {
    const world = newWorld()
    const random = seededRandom(5)
    const truths = new Map<string, Truth>()
    const nameOf = (day: number) => `r${String(day).padStart(4, '0')}`
    let truth: Truth = new Map([['os', random.bytes(diskPages * pageBytes)]])
    let newest: RecoveryPoint | null = null
    let rewrittenBytes = 0
    for (let day = 0; day < days; day += 1) {
      const base = newest === null ? null : await readRecoveryPoint(world.vault, newest)
      const of = { recoveryPointId: nameOf(day), base: base?.recoveryPoint ?? null, before: truth }
      const next = await backUpWrites(world, { ...of, frameCapacityBytes: 64 * 1024 }, writesOf(random))
      newest = next.point
      truth = next.truth
      truths.set(nameOf(day), truth)
      if (day % 7 !== 6) continue
      for (let old = 0; old < day; old += 1)
        if (truths.has(nameOf(old)) && !isKept(old, day)) {
          await expire(world, nameOf(old))
          truths.delete(nameOf(old))
        }
      const compacted = await compactVm(world, { vmKey, stepsMax: 100, rewriteBytesMax: 1024 * 1024 })
      rewrittenBytes += compacted.rewrittenBytes
      await collectGarbage({ ...world, clock: virtualClock() }, { passId: `pass-${day}`, objectsMax: 100_000 })
      expect(compacted.kind).toBe('done')
      expect(await readShare(world), `read on day ${day}`).toBeLessThan(1.55)
      const share = storedSegmentBytes(world.vault) / distinctBytes(truths.values())
      expect(share, `stored on day ${day}`).toBeLessThan(2)
    }
    await expectExact(world, truths, 'at the end')
    const changedBytes = (diskPages + days * pagesADay) * pageBytes
    expect(rewrittenBytes).toBeGreaterThan(0)
    expect(rewrittenBytes / changedBytes).toBeLessThan(0.75)
  })
})
