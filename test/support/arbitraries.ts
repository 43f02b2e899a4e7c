import type { ChangedRange } from '../../shared/domain/extent.ts'
import type { FramePlace } from '../../shared/format/frame.ts'
import type { SegmentRange } from '../../shared/format/segment-ranges.ts'
import type { Run } from '../../shared/format/shard-builder.ts'
import { fc } from './fast-check.ts'

/** Whole sectors up to 64 TiB. */
export const offsets = (): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** 37 }).map((sector) => sector * 512)

const lengths = (): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 2 ** 28 })).map((sectors) => sectors * 512)
const gaps = (): fc.Arbitrary<number> =>
  fc
    .oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2 ** 30 }))
    .map((sectors) => sectors * 512)

/** Sorted ranges that do not overlap; they may touch, also with one of the same kind. */
export const changedRanges = (maxLength = 40): fc.Arbitrary<ChangedRange[]> =>
  fc
    .array(
      fc.record({ gap: gaps(), lengthBytes: lengths(), kind: fc.constantFrom('data' as const, 'clear' as const) }),
      { maxLength },
    )
    .map((entries) => {
      let end = 0
      return entries.map(({ gap, lengthBytes, kind }) => {
        const offsetBytes = end + gap
        end = offsetBytes + lengthBytes
        return { offsetBytes, lengthBytes, kind }
      })
    })

/** Ranges of one kind that touch, as one. */
export const joined = (ranges: readonly ChangedRange[]): ChangedRange[] => {
  const result: ChangedRange[] = []
  for (const range of ranges) {
    const last = result.at(-1)
    if (last !== undefined && last.kind === range.kind && last.offsetBytes + last.lengthBytes === range.offsetBytes)
      result[result.length - 1] = { ...last, lengthBytes: last.lengthBytes + range.lengthBytes }
    else result.push(range)
  }
  return result
}

export interface FramedRuns {
  readonly runs: readonly Run[]
  readonly frame: FramePlace | null
}

/** Batches of runs with their frame, as a transfer makes them: sorted throughout, the data runs of a batch use up its frame. */
export const framedRuns = (minLength = 0): fc.Arbitrary<FramedRuns[]> =>
  fc
    .array(fc.array(fc.tuple(gaps(), fc.integer({ min: 1, max: 64 }), fc.boolean()), { minLength: 1, maxLength: 8 }), {
      minLength,
      maxLength: 12,
    })
    .map((batches) => {
      let end = 0
      return batches.map((batch, ordinal) => {
        const runs = batch.map(([gap, sectors, isZero]): Run => {
          const offsetBytes = end + gap
          end = offsetBytes + sectors * 512
          return { offsetBytes, lengthBytes: sectors * 512, isZero }
        })
        const plainBytes = runs.reduce((sum, run) => sum + (run.isZero ? 0 : run.lengthBytes), 0)
        return { runs, frame: plainBytes === 0 ? null : frameOf(ordinal, plainBytes) }
      })
    })

/** Ranges of segments in any order; they may overlap or touch. */
export const segmentRanges = (): fc.Arbitrary<SegmentRange[]> =>
  fc.array(
    fc
      .record({
        recoveryPointId: fc.constantFrom('r1', 'r10', 'r2', 'fold-0a'),
        disk: fc.constantFrom('os', 'lun-9', 'lun-10'),
        slice: fc.nat(3),
        attempt: fc.integer({ min: 1, max: 2 }),
        firstN: fc.nat(6),
        length: fc.nat(3),
      })
      .map(({ length, ...range }) => ({ ...range, lastN: range.firstN + length })),
  )

const frameOf = (ordinal: number, plainBytes: number): FramePlace => ({
  segment: `segments/r1/os/000000.0001-0000${ordinal % 3}`,
  placeBytes: ordinal * 1000,
  storedBytes: 500,
  plainBytes,
  digest: Buffer.alloc(32, ordinal),
  birth: { recoveryPointId: 'r1', disk: 'os', slice: ordinal % 2, attempt: 1, ordinal },
})
