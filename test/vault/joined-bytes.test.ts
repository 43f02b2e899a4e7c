import { describe, expect, it } from 'vitest'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import type { DiskReader } from '../../shared/ports/disk-reader.ts'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { sealDisk } from '../../shared/vault/seal-disk.ts'
import { findSlice } from '../../shared/vault/slice-index.ts'
import { transferSlice } from '../../shared/vault/transfer-slice.ts'
import { allocatedRanges, applyWrites, randomWrites } from '../support/disk-history.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { memoryDiskReader } from '../support/memory-disk.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { mib } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const key = { recoveryPointId: 'r1', disk: 'os' }
const kib = 1024
const gapBytes = 120 * kib

/** Moves all ranges of a disk of 4 MiB of noise, and tells what the report says and what the plan named. */
const moved = async (
  ranges: readonly ChangedRange[],
  wrap: (reader: DiskReader) => DiskReader = (reader) => reader,
  rangesPerSlice = 1000,
) => {
  const stores = { vault: createMemoryBlobStore(), control: createMemoryBlobStore(), clock: virtualClock() }
  const reader = wrap(memoryDiskReader(seededRandom(5).bytes(4 * mib), ranges))
  const plan = await planDisk({ ...stores, reader }, { ...key, hasBase: true, sliceBytes: mib, rangesPerSlice })
  for (let slice = 0; slice < plan.slices; slice += 1)
    await transferSlice({ ...stores, reader }, { ...key, slice, jobId: 'job', tuning: { gapBytes } })
  const { report } = await sealDisk(stores, { ...key, parentStack: [], fullReason: null })
  const first = await findSlice(stores.vault, { ...key, slice: 0 })
  return { plan, report, first, received: reader.counters.readBytes }
}

const data = (offsetBytes: number, lengthBytes: number): ChangedRange => ({ offsetBytes, lengthBytes, kind: 'data' })
const clear = (offsetBytes: number, lengthBytes: number): ChangedRange => ({ offsetBytes, lengthBytes, kind: 'clear' })

describe('joined bytes', () => {
  it('are those of the holes that were read through, and of no others', async () => {
    const near = [data(0, 4 * kib), data(16 * kib, 4 * kib)]
    const far = [...near, data(20 * kib + gapBytes + 512, 4 * kib)]
    const { report } = await moved(far)
    expect(report).toMatchObject({ changedBytes: 12 * kib, joinedBytes: 12 * kib, readBytes: 24 * kib })
  })

  it('include a cleared range that lay in the way, as its bytes were read and not wanted', async () => {
    const { report } = await moved([data(0, 4 * kib), clear(8 * kib, 16 * kib), data(32 * kib, 4 * kib)])
    expect(report).toMatchObject({ changedBytes: 24 * kib, joinedBytes: 28 * kib, readBytes: 36 * kib })
  })

  it('are none where everything is cleared, or follows without a hole', async () => {
    expect((await moved([clear(0, mib)])).report).toMatchObject({ joinedBytes: 0, readBytes: 0 })
    expect((await moved([data(0, mib), data(mib, mib)])).report).toMatchObject({ joinedBytes: 0, readBytes: 2 * mib })
  })

  it('explain, with what was named, every byte that the source sent, over all slices of any disk', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const { bytes } = applyWrites(Buffer.alloc(4 * mib), randomWrites(seededRandom(seed), 4 * mib, 60))
      const { plan, report, received } = await moved(allocatedRanges(bytes), undefined, 7)
      expect(plan.slices).toBeGreaterThan(1)
      expect(report.joinedBytes).toBeGreaterThan(0)
      expect(report.readBytes).toBe(received)
      expect(report.readBytes).toBe(plan.dataBytes + report.joinedBytes)
    }
  })
})

describe('read bytes', () => {
  it('are what the source sent, not what was planned: a read that broke off half-way is in them', async () => {
    const flaky = (reader: DiskReader): DiskReader => ({
      ...reader,
      readInto: async (target, offsetBytes, options) => {
        await reader.readInto(target.subarray(0, target.length / 2), offsetBytes, options)
        await reader.readInto(target, offsetBytes, options)
      },
    })
    const { report, first, received } = await moved([data(0, 64 * kib)], flaky)
    expect(received).toBe(96 * kib)
    expect(report).toMatchObject({ readBytes: 96 * kib, joinedBytes: 0, storedPlainBytes: 64 * kib })
    expect(first).toMatchObject({ readBytes: 96 * kib, readCalls: 2 })
  })

  it('of a slice leave out what its reader sent for the slices before it', async () => {
    const { report, first } = await moved([data(0, mib), data(2 * mib, mib)])
    expect(first).toMatchObject({ readBytes: mib, readCalls: 1 })
    expect(report.readBytes).toBe(2 * mib)
  })
})
