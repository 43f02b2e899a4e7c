import type { ChangedRange } from '../../../shared/domain/extent.ts'

const pageBytes = 4096
const zeros = Buffer.alloc(pageBytes)
const known = new WeakMap<Buffer, Map<Buffer | null, readonly ChangedRange[]>>()

/** What the platform names of an immutable copy: with a base the pages that differ (`clear` where they are zero now, and now and then
 * a neighbour that did not change, as the platform may), without one the pages that are not zero. */
export const changedPages = (bytes: Buffer, base: Buffer | null): readonly ChangedRange[] => {
  const ofBytes = known.get(bytes) ?? new Map<Buffer | null, readonly ChangedRange[]>()
  known.set(bytes, ofBytes)
  const ranges = ofBytes.get(base) ?? compare(bytes, base)
  ofBytes.set(base, ranges)
  return ranges
}

const compare = (bytes: Buffer, base: Buffer | null): readonly ChangedRange[] => {
  const ranges: ChangedRange[] = []
  let wasChanged = false
  for (let offsetBytes = 0; offsetBytes < bytes.length; offsetBytes += pageBytes) {
    const page = bytes.subarray(offsetBytes, offsetBytes + pageBytes)
    const before = base?.subarray(offsetBytes, offsetBytes + pageBytes) ?? zeros
    const isChanged = !page.equals(before)
    const isNeighbour = base !== null && wasChanged && offsetBytes % (8 * pageBytes) === 0
    wasChanged = isChanged
    if (!isChanged && !isNeighbour) continue
    const kind = isChanged && page.equals(zeros) ? 'clear' : 'data'
    ranges.push({ kind, offsetBytes, lengthBytes: pageBytes })
  }
  return ranges
}
