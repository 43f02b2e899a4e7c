import type { ChangedRange } from '../../shared/domain/extent.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What a guest does to a disk between two backups. */
export type DiskWrite =
  | { readonly kind: 'data'; readonly offsetBytes: number; readonly bytes: Buffer }
  | { readonly kind: 'clear'; readonly offsetBytes: number; readonly lengthBytes: number }

/** Random writes in whole sectors: single pages mostly, some long, some of zeros, some clearing. */
export const randomWrites = (random: SeededRandom, diskBytes: number, count: number): DiskWrite[] =>
  Array.from({ length: count }, (): DiskWrite => {
    const unit = random.below(4) === 0 ? 512 : 4096
    const units = random.below(5) === 0 ? 1 + random.below(64) : 1
    const lengthBytes = Math.min(units * unit, diskBytes)
    const offsetBytes = random.below((diskBytes - lengthBytes) / unit + 1) * unit
    const kind = random.below(8)
    if (kind === 0) return { kind: 'clear', offsetBytes, lengthBytes }
    return { kind: 'data', offsetBytes, bytes: kind === 1 ? Buffer.alloc(lengthBytes) : random.bytes(lengthBytes) }
  })

/** The disk after the writes, and the ranges that a platform would name: sorted, of one kind each, cleared ones read as zeros. */
export const applyWrites = (
  before: Buffer,
  writes: readonly DiskWrite[],
  diskBytes = before.length,
): { readonly bytes: Buffer; readonly ranges: readonly ChangedRange[] } => {
  const bytes = Buffer.alloc(diskBytes)
  before.copy(bytes)
  const sectors = new Map<number, ChangedRange['kind']>()
  for (const write of writes) {
    const lengthBytes = write.kind === 'data' ? write.bytes.length : write.lengthBytes
    if (write.kind === 'data') write.bytes.copy(bytes, write.offsetBytes)
    else bytes.fill(0, write.offsetBytes, write.offsetBytes + lengthBytes)
    for (let at = write.offsetBytes; at < write.offsetBytes + lengthBytes; at += 512) sectors.set(at, write.kind)
  }
  const ranges: ChangedRange[] = []
  for (const [offsetBytes, kind] of [...sectors].sort(([a], [b]) => a - b)) {
    const last = ranges.at(-1)
    const touches = last !== undefined && last.kind === kind && last.offsetBytes + last.lengthBytes === offsetBytes
    if (touches) ranges[ranges.length - 1] = { ...last, lengthBytes: last.lengthBytes + 512 }
    else ranges.push({ offsetBytes, lengthBytes: 512, kind })
  }
  return { bytes, ranges }
}

/** The ranges of a disk that are not zero, as a platform lists what is allocated. */
export const allocatedRanges = (bytes: Buffer): ChangedRange[] => {
  const ranges: ChangedRange[] = []
  const zero = Buffer.alloc(512)
  for (let offsetBytes = 0; offsetBytes < bytes.length; offsetBytes += 512) {
    if (bytes.compare(zero, 0, 512, offsetBytes, offsetBytes + 512) === 0) continue
    const last = ranges.at(-1)
    if (last !== undefined && last.offsetBytes + last.lengthBytes === offsetBytes)
      ranges[ranges.length - 1] = { ...last, lengthBytes: last.lengthBytes + 512 }
    else ranges.push({ offsetBytes, lengthBytes: 512, kind: 'data' })
  }
  return ranges
}
