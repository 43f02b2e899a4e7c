import { describe, expect, it } from 'vitest'
import type { ChangedRange } from '../../shared/domain/extent.ts'
import { type CutSlice, createSliceCutter } from '../../shared/domain/slice-plan.ts'
import { changedRanges, joined } from '../support/arbitraries.ts'
import { fc } from '../support/fast-check.ts'

const sliceBytes = 64 * 1024
const diskBytes = 2 ** 55
const cutAll = (pages: readonly (readonly ChangedRange[])[], rangesPerSlice = 1000) => {
  let ranges: ChangedRange[] = []
  const limits = { diskBytes, sliceBytes, rangesPerSlice }
  const cutter = createSliceCutter(limits, (range) => ranges.push(range))
  const slices: (CutSlice & { readonly ranges: readonly ChangedRange[] })[] = []
  const take = (cut: Iterable<CutSlice>): void => {
    for (const slice of cut) {
      slices.push({ ...slice, ranges })
      ranges = []
    }
  }
  for (const page of pages) take(cutter.add(page))
  take(cutter.finish())
  expect(ranges).toEqual([])
  return slices
}
const modest = changedRanges(30).map((all) => all.filter((range) => range.lengthBytes < 4 * 1024 * 1024))

describe('slices of a list of ranges', () => {
  it('hold every byte once, in order, and no more data or ranges than allowed', () => {
    fc.assert(
      fc.property(modest, fc.integer({ min: 1, max: 10 }), (ranges, rangesPerSlice) => {
        const slices = cutAll([ranges], rangesPerSlice)
        expect(joined(slices.flatMap((slice) => slice.ranges))).toEqual(joined(ranges))
        for (const slice of slices) {
          expect(slice.dataBytes).toBeLessThanOrEqual(sliceBytes)
          expect(slice.ranges.length).toBeLessThanOrEqual(rangesPerSlice)
          expect(slice.ranges.length).toBeGreaterThan(0)
          expect(slice.rangeCount).toBe(slice.ranges.length)
          const sum = (kind: string) =>
            slice.ranges.reduce((bytes, range) => bytes + (range.kind === kind ? range.lengthBytes : 0), 0)
          expect([slice.dataBytes, slice.clearBytes]).toEqual([sum('data'), sum('clear')])
        }
      }),
    )
  })

  it('do not depend on how the list was paged', () => {
    fc.assert(
      fc.property(modest, fc.integer({ min: 1, max: 5 }), (ranges, pageRanges) => {
        const pages = Array.from({ length: Math.ceil(ranges.length / pageRanges) }, (_, index) =>
          ranges.slice(index * pageRanges, (index + 1) * pageRanges),
        )
        expect(cutAll(pages)).toEqual(cutAll([ranges]))
      }),
    )
  })

  it('part no page of a range from its rest', () => {
    const sectors = (max: number) => fc.integer({ min: 1, max })
    fc.assert(
      fc.property(sectors(64), sectors(64), sectors(2000), (gap, firstSectors, longSectors) => {
        const first = { kind: 'data' as const, offsetBytes: 512, lengthBytes: firstSectors * 512 }
        const offsetBytes = 512 + (firstSectors + gap) * 512
        const [, ...rest] = cutAll([[first, { kind: 'data', offsetBytes, lengthBytes: longSectors * 512 }]])
        for (const { ranges } of rest)
          if (ranges[0]?.offsetBytes !== offsetBytes) expect((ranges[0]?.offsetBytes ?? 1) % 4096).toBe(0)
      }),
    )
  })

  it('are none for an empty list', () => {
    expect(cutAll([[], []])).toEqual([])
  })
})
