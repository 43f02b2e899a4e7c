import { describe, expect, it } from 'vitest'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import { readSlicePlan } from '../../shared/vault/disk-plan.ts'
import { planDisk } from '../../shared/vault/plan-disk.ts'
import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { generatedDiskReader } from '../support/memory-disk.ts'
import { mib } from '../support/vault-world.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const key = { recoveryPointId: 'r1', disk: 'os' }
const sizeBytes = 64 * 1024 * mib

/** Data bytes of each slice that is planned for a disk of 64 GiB with these ranges. */
const plannedBytes = async (ranges: readonly ChangedRange[], sliceBytes: number) => {
  const control = createMemoryBlobStore()
  const reader = generatedDiskReader(sizeBytes, ranges, () => undefined)
  const plan = await planDisk({ control, clock: virtualClock(), reader }, { ...key, hasBase: true, sliceBytes })
  const numbers = Array.from({ length: plan.slices }, (_, slice) => slice)
  const slices = await Promise.all(numbers.map((slice) => readSlicePlan(control, { ...key, slice }, plan.run, {})))
  return { sliceBytes: plan.sliceBytes, dataBytes: slices.map((slice) => slice.dataBytes) }
}

const data = (offsetBytes: number, lengthBytes: number): ChangedRange => ({ kind: 'data', offsetBytes, lengthBytes })

describe('the slices of a change', () => {
  it('are equal where the whole list is known before the first is cut, and cleared ranges are no data', async () => {
    const clear: ChangedRange = { kind: 'clear', offsetBytes: 40 * 1024 * mib, lengthBytes: 20 * 1024 * mib }
    const planned = await plannedBytes([data(0, 100 * mib), data(1024 * mib, 156 * mib), clear], 2048 * mib)
    expect(planned).toEqual({ sliceBytes: 64 * mib, dataBytes: Array.from({ length: 4 }, () => 64 * mib) })
  })

  it('are cut as they come where the list is long', async () => {
    const ranges = Array.from({ length: 12_000 }, (_, index) => data(index * 4 * mib, 32 * 1024))
    const planned = await plannedBytes(ranges, 2048 * mib)
    expect(planned).toEqual({ sliceBytes: 2048 * mib, dataBytes: [12_000 * 32 * 1024] })
  })
})
