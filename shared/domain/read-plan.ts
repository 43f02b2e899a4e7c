import type { ChangedRange } from './extent.ts'

/** One request to the source and what is wanted of it. */
export interface PlannedRead {
  readonly offsetBytes: number
  /** 0 where all parts are cleared and nothing has to be read. */
  readonly lengthBytes: number
  /** In order of offset. Data parts lie inside the read; cleared parts may lie anywhere behind its beginning. */
  readonly parts: readonly ChangedRange[]
}

/** How ranges are joined and cut into requests, in bytes. */
export interface ReadLimits {
  /** The largest hole worth reading through: its bytes cost less than another request. */
  readonly gapBytes: number
  /** The largest request; a multiple of 4096. */
  readonly readBytesMax: number
}

/** Joins ranges across small gaps into few large requests, and cuts large ranges; lazily, as a slice may need many thousands.
 * Every data range is covered exactly once by the parts, every cleared range is passed on as it is.
 * @param ranges in order of offset, not overlapping */
export function* planReads(ranges: Iterable<ChangedRange>, limits: ReadLimits): Generator<PlannedRead> {
  let parts: ChangedRange[] = []
  let beginsAt = 0
  let endsAt = -1
  const close = (): PlannedRead => {
    const read = { offsetBytes: beginsAt, lengthBytes: endsAt < 0 ? 0 : endsAt - beginsAt, parts }
    parts = []
    endsAt = -1
    return read
  }
  for (const range of ranges) {
    if (range.kind === 'clear') {
      if (parts.length === 0) beginsAt = range.offsetBytes
      parts.push(range)
      continue
    }
    const end = range.offsetBytes + range.lengthBytes
    const isJoined =
      endsAt >= 0 && range.offsetBytes - endsAt <= limits.gapBytes && end - beginsAt <= limits.readBytesMax
    if (!isJoined && parts.length > 0) yield close()
    let at = range.offsetBytes
    while (at < end) {
      if (endsAt < 0) beginsAt = at
      endsAt = cutAt(at, end, beginsAt + limits.readBytesMax)
      const isWhole = endsAt - at === range.lengthBytes
      parts.push(isWhole ? range : { offsetBytes: at, lengthBytes: endsAt - at, kind: 'data' })
      at = endsAt
      if (at < end) yield close()
    }
  }
  if (parts.length > 0) yield close()
}

/** Where a part that begins at `at` ends: at the range's end, or at the last page boundary that the read may reach. */
const cutAt = (at: number, end: number, limit: number): number => {
  if (end <= limit) return end
  const page = limit - (limit % 4096)
  return page > at ? page : limit
}
