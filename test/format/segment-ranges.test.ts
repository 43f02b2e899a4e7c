import { describe, expect, it } from 'vitest'
import { createByteReader } from '../../shared/format/byte-reader.ts'
import { createByteWriter } from '../../shared/format/byte-writer.ts'
import {
  joinSegmentRanges,
  readSegmentRanges,
  type SegmentRange,
  segmentCountOf,
  segmentNamesOf,
  writeSegmentRanges,
} from '../../shared/format/segment-ranges.ts'
import { VaultError } from '../../shared/format/vault-error.ts'
import { segmentRanges } from '../support/arbitraries.ts'
import { fc } from '../support/fast-check.ts'

const written = (ranges: readonly SegmentRange[]): Buffer => {
  const writer = createByteWriter()
  writeSegmentRanges(writer, ranges)
  return writer.finish()
}
const read = (ranges: readonly SegmentRange[]): SegmentRange[] =>
  readSegmentRanges(createByteReader(written(ranges), { name: 'object', place: 0 }), ranges.length)

describe('segment ranges', () => {
  it('name the same segments joined, each once, in order', () => {
    fc.assert(
      fc.property(segmentRanges(), (ranges) => {
        const joined = joinSegmentRanges(ranges)
        const names = [...segmentNamesOf(joined)]
        expect(new Set(names)).toEqual(new Set(segmentNamesOf(ranges)))
        expect(names).toHaveLength(new Set(names).size)
        expect(segmentCountOf(joined)).toBe(names.length)
        expect(joinSegmentRanges(joined)).toEqual(joined)
        expect(joined.length).toBeLessThanOrEqual(ranges.length)
      }),
    )
  })

  it('come back as they were written once they are joined', () => {
    fc.assert(
      fc.property(segmentRanges(), (ranges) => {
        const joined = joinSegmentRanges(ranges)
        expect(read(joined)).toEqual(joined)
      }),
    )
  })

  const range: SegmentRange = { recoveryPointId: 'r1', disk: 'os', slice: 1, attempt: 1, firstN: 2, lastN: 4 }
  it.each([
    ['empty', [{ ...range, lastN: 1 }]],
    ['overlapping', [range, { ...range, firstN: 4, lastN: 9 }]],
    ['of one attempt and not sorted', [range, { ...range, firstN: 0, lastN: 0 }]],
    ['touching, which is one range', [range, { ...range, firstN: 5, lastN: 6 }]],
    ['not sorted by id', [range, { ...range, recoveryPointId: 'r0' }]],
    ['not sorted by disk', [range, { ...range, disk: 'lun-1' }]],
    ['not sorted by slice', [range, { ...range, slice: 0 }]],
    ['not sorted by attempt', [range, { ...range, attempt: 0 }]],
  ])('are refused when they are %s', (_, ranges) => {
    expect(() => read(ranges)).toThrow(VaultError)
  })
})
