import { isDisk, isId } from '../domain/ids.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { AttemptKey } from './frame-cipher.ts'
import { segmentName } from './names.ts'
import { parseVaultName } from './vault-name.ts'

/** Segments of one attempt that follow each other, first and last included. `recoveryPointId` is what the segments' names begin with: a
 * compaction's id where one wrote them. */
export interface SegmentRange extends AttemptKey {
  readonly firstN: number
  readonly lastN: number
}

/** The names of the segments, in order, as they are asked for. */
export function* segmentNamesOf(ranges: Iterable<SegmentRange>): Generator<string> {
  for (const range of ranges)
    for (let n = range.firstN; n <= range.lastN; n += 1) yield segmentName(range, range.attempt, n)
}

/** How many segments the ranges name. */
export const segmentCountOf = (ranges: readonly SegmentRange[]): number =>
  ranges.reduce((sum, { firstN, lastN }) => sum + lastN - firstN + 1, 0)

/** Whether one of the ranges names the segment; found by halving.
 * @param ranges sorted and joined, as an index footer has them
 * @param name of a segment; false for any other */
export const isInRanges = (ranges: readonly SegmentRange[], name: string): boolean => {
  const parsed = parseVaultName(name)
  if (parsed.kind !== 'segment') return false
  const { id: recoveryPointId, disk, slice, attempt, n } = parsed
  const wanted = { recoveryPointId, disk, slice, attempt, firstN: n, lastN: n }
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const range = ranges[middle]
    if (range !== undefined && compareRanges(range, wanted) <= 0) low = middle + 1
    else high = middle
  }
  const found = ranges[low - 1]
  return found !== undefined && isSameAttempt(found, wanted) && n <= found.lastN
}

/** The same segments in as few ranges as can be, in the order that an index footer wants.
 * @param ranges in any order; they may overlap */
export const joinSegmentRanges = (ranges: Iterable<SegmentRange>): SegmentRange[] => {
  const joined: SegmentRange[] = []
  for (const range of [...ranges].sort(compareRanges)) {
    const last = joined.at(-1)
    if (last !== undefined && isSameAttempt(last, range) && range.firstN <= last.lastN + 1)
      joined[joined.length - 1] = { ...last, lastN: Math.max(last.lastN, range.lastN) }
    else joined.push(range)
  }
  return joined
}

/** @param ranges as joinSegmentRanges makes them */
export const writeSegmentRanges = (writer: ByteWriter, ranges: readonly SegmentRange[]): void => {
  for (const range of ranges) {
    writer.text(range.recoveryPointId)
    writer.text(range.disk)
    for (const value of [range.slice, range.attempt, range.firstN, range.lastN]) writer.u32(value)
  }
}

/** @throws VaultError where one is empty, or they are not sorted or not joined */
export const readSegmentRanges = (reader: ByteReader, count: number): SegmentRange[] => {
  const ranges: SegmentRange[] = []
  for (let index = 0; index < count; index += 1) {
    const key = { recoveryPointId: reader.text(), disk: reader.text(), slice: reader.u32(), attempt: reader.u32() }
    const range = { ...key, firstN: reader.u32(), lastN: reader.u32() }
    const last = ranges.at(-1)
    if (!isId(key.recoveryPointId) || !isDisk(key.disk)) reader.fail('a range of segments names no id or no disk')
    if (range.slice > 999_999 || range.attempt > 9999 || range.lastN > 99_999)
      reader.fail('a range of segments has a number that no name holds')
    if (range.lastN < range.firstN) reader.fail('a range of segments is empty')
    if (last !== undefined && !isBefore(last, range)) reader.fail('the ranges of segments are not sorted')
    ranges.push(range)
  }
  return ranges
}

const isBefore = (a: SegmentRange, b: SegmentRange): boolean =>
  isSameAttempt(a, b) ? a.lastN + 1 < b.firstN : compareRanges(a, b) < 0

const isSameAttempt = (a: SegmentRange, b: SegmentRange): boolean =>
  a.recoveryPointId === b.recoveryPointId && a.disk === b.disk && a.slice === b.slice && a.attempt === b.attempt

const compareRanges = (a: SegmentRange, b: SegmentRange): number =>
  compareTexts(a.recoveryPointId, b.recoveryPointId) ||
  compareTexts(a.disk, b.disk) ||
  a.slice - b.slice ||
  a.attempt - b.attempt ||
  a.firstN - b.firstN

/** ASCII texts: the order of code units is that of bytes. */
const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
