import { open, rename, rm, stat } from 'node:fs/promises'
import type { ChangedRange } from '../../../shared/domain/extent.ts'

/** One range: two little-endian doubles, offset and length; a negative length is a cleared range. */
const recordBytes = 16
const recordsPerChunk = 4096

/** Keeps a sorted list of ranges in a file, so that millions of them cost no memory. The file appears under its name only when
 * it is whole; a write that failed leaves nothing. */
export const writeRangeFile = async (path: string, ranges: AsyncIterable<ChangedRange>): Promise<void> => {
  const temporary = `${path}.${process.pid}.tmp`
  const file = await open(temporary, 'w')
  try {
    const chunk = Buffer.alloc(recordBytes * recordsPerChunk)
    let filled = 0
    for await (const range of ranges) {
      chunk.writeDoubleLE(range.offsetBytes, filled)
      chunk.writeDoubleLE(range.kind === 'clear' ? -range.lengthBytes : range.lengthBytes, filled + 8)
      filled += recordBytes
      if (filled === chunk.byteLength) {
        await file.writeFile(chunk)
        filled = 0
      }
    }
    await file.writeFile(chunk.subarray(0, filled))
    await file.close()
    await rename(temporary, path)
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(temporary, { force: true })
    throw error
  }
}

export interface RangePage {
  readonly ranges: readonly ChangedRange[]
  /** Where the next page begins; null when the listing has reached the end of the window. */
  readonly nextOffsetBytes: number | null
}

/** Reads the ranges that overlap a window, clipped to it.
 * @param window half-open, in bytes
 * @param countMax the page ends after so many */
export const readRangePage = async (
  path: string,
  window: { readonly startBytes: number; readonly endBytes: number },
  countMax: number,
): Promise<RangePage> => {
  const file = await open(path, 'r')
  try {
    const total = Math.floor((await file.stat()).size / recordBytes)
    const readRecords = async (index: number, count: number): Promise<ChangedRange[]> => {
      const buffer = Buffer.alloc(Math.min(count, total - index) * recordBytes)
      await file.read(buffer, 0, buffer.byteLength, index * recordBytes)
      return decode(buffer)
    }
    const first = await firstEndingAfter(total, window.startBytes, readRecords)
    // One more than asked for: it tells whether another page follows, and where.
    const found = await readRecords(first, countMax + 1)
    const inside = found.filter((range) => range.offsetBytes < window.endBytes)
    const next = inside.length > countMax ? inside.pop() : undefined
    return { ranges: inside.map((range) => clip(range, window)), nextOffsetBytes: next?.offsetBytes ?? null }
  } finally {
    await file.close()
  }
}

/** All ranges in order, in bounded memory. */
export async function* readRangeFile(path: string): AsyncGenerator<ChangedRange> {
  const file = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(recordBytes * recordsPerChunk)
    for (let position = 0; ; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, position)
      if (bytesRead === 0) return
      yield* decode(buffer.subarray(0, bytesRead))
      position += bytesRead
    }
  } finally {
    await file.close()
  }
}

/** False also where it cannot be looked at: it is made anew then. */
export const rangeFileExists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

const decode = (buffer: Buffer): ChangedRange[] => {
  const ranges: ChangedRange[] = []
  for (let at = 0; at + recordBytes <= buffer.byteLength; at += recordBytes) {
    const signed = buffer.readDoubleLE(at + 8)
    const kind = signed < 0 ? 'clear' : 'data'
    ranges.push({ kind, offsetBytes: buffer.readDoubleLE(at), lengthBytes: Math.abs(signed) })
  }
  return ranges
}

const firstEndingAfter = async (
  total: number,
  offsetBytes: number,
  readRecords: (index: number, count: number) => Promise<ChangedRange[]>,
): Promise<number> => {
  let low = 0
  let high = total
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const range = (await readRecords(middle, 1))[0]
    if (range !== undefined && range.offsetBytes + range.lengthBytes > offsetBytes) high = middle
    else low = middle + 1
  }
  return low
}

const clip = (
  range: ChangedRange,
  window: { readonly startBytes: number; readonly endBytes: number },
): ChangedRange => {
  const start = Math.max(range.offsetBytes, window.startBytes)
  const end = Math.min(range.offsetBytes + range.lengthBytes, window.endBytes)
  return { kind: range.kind, offsetBytes: start, lengthBytes: end - start }
}
