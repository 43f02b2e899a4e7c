import { describe, expect, it } from 'vitest'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import { planReads } from '../../shared/domain/read-plan.ts'
import { changedRanges, joined } from '../support/arbitraries.ts'
import { fc } from '../support/fast-check.ts'

const kib = 1024
const limits = { gapBytes: 120 * kib, readBytesMax: 4096 * kib }
const data = (offsetBytes: number, lengthBytes: number): ChangedRange => ({ offsetBytes, lengthBytes, kind: 'data' })
const clear = (offsetBytes: number, lengthBytes: number): ChangedRange => ({ offsetBytes, lengthBytes, kind: 'clear' })
const requests = (ranges: readonly ChangedRange[]) =>
  [...planReads(ranges, limits)].map(({ offsetBytes, lengthBytes }) => [offsetBytes / kib, lengthBytes / kib])

describe('a read plan', () => {
  it('reads through a hole of 120 KiB and not through a larger one', () => {
    expect(requests([data(0, 4 * kib), data(124 * kib, 4 * kib)])).toEqual([[0, 128]])
    expect(requests([data(0, 4 * kib), data(124 * kib + 512, 4 * kib)])).toEqual([
      [0, 4],
      [124.5, 4],
    ])
  })

  it('cuts a long range at the largest read', () => {
    expect(requests([data(0, 10_000 * kib)])).toEqual([
      [0, 4096],
      [4096, 4096],
      [8192, 1808],
    ])
  })

  it('cuts at page boundaries of the disk', () => {
    const [first] = planReads([data(512, 10_000 * kib)], limits)
    expect(((first?.offsetBytes ?? 0) + (first?.lengthBytes ?? 0)) % 4096).toBe(0)
  })

  it('asks for nothing where everything is cleared', () => {
    expect([...planReads([clear(0, kib), clear(8192 * kib, kib)], limits)]).toEqual([
      { offsetBytes: 0, lengthBytes: 0, parts: [clear(0, kib), clear(8192 * kib, kib)] },
    ])
  })

  it('passes on every byte of every range once and in order, in reads that hold all their data and no more than allowed', () => {
    const small = fc.record({
      gapBytes: fc.constantFrom(0, 4096, 122_880),
      readBytesMax: fc.constantFrom(4096, 65_536),
    })
    const ranges = changedRanges(20).map((all) => all.filter((range) => range.lengthBytes < 1024 * kib))
    fc.assert(
      fc.property(ranges, small, (given, bounds) => {
        const reads = [...planReads(given, bounds)]
        const parts = reads.flatMap((read) => read.parts)
        expect(joined(parts)).toEqual(joined(given))
        for (const read of reads) {
          expect(read.lengthBytes).toBeLessThanOrEqual(bounds.readBytesMax)
          const wanted = read.parts.filter((part) => part.kind === 'data')
          const last = wanted.at(-1)
          const endBytes = last ? last.offsetBytes + last.lengthBytes : read.offsetBytes
          expect(read.offsetBytes + read.lengthBytes).toBe(endBytes)
          for (const part of wanted) expect(part.offsetBytes).toBeGreaterThanOrEqual(read.offsetBytes)
        }
      }),
    )
  })
})
