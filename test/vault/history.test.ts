import { describe, expect, it } from 'vitest'
import type { RecoveryPoint } from '../../shared/domain/recovery-point.ts'
import { allocatedRanges, applyWrites, randomWrites } from '../support/disk-history.ts'
import { fc } from '../support/fast-check.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { backUp, type DiskAtBackup, mib, restoreDisk, tinyTuning } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** A random history of one disk, with every recovery point restored at the end and compared with the model. */
const runHistory = async (seed: number, backups: number, sliceBytes: number): Promise<void> => {
  const random = seededRandom(seed)
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  let bytes: Buffer = Buffer.alloc(2 * mib)
  let base: RecoveryPoint | null = null
  const made: { point: RecoveryPoint; bytes: Buffer }[] = []
  for (let number = 0; number < backups; number += 1) {
    const grown = bytes.length + (random.below(4) === 0 ? random.below(64) * 4096 : 0)
    const after = applyWrites(bytes, randomWrites(random, grown, random.below(120)), grown)
    const isFull: boolean = base === null || random.below(6) === 0
    const ranges = isFull ? allocatedRanges(after.bytes) : after.ranges
    const disks: DiskAtBackup[] = [{ disk: 'os', bytes: after.bytes, ranges }]
    const order = {
      recoveryPointId: `r${number}`,
      disks,
      base: isFull ? null : base,
      sliceBytes,
      rangesPerSlice: 50,
      tuning: tinyTuning,
    }
    base = await backUp(stores, order)
    bytes = after.bytes
    made.push({ point: base, bytes })
  }
  for (const { point, bytes: expected } of made) {
    const restored = await restoreDisk(stores.vault, point, 'os', 300 * 1024)
    if (!restored.equals(expected)) throw new Error(`${point.recoveryPointId} of seed ${seed} is not what it was`)
  }
}

describe('a history of recovery points', { timeout: 60_000 }, () => {
  it('restores every one of them to the bytes of its time, through increments, fulls, clears and growth', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => runHistory(seed, 6, mib)),
      { numRuns: 8 },
    )
  })

  it('restores a full and its increments with the real limits', async () => {
    await runHistory(7, 3, mib)
    expect.assertions(0)
  })
})
