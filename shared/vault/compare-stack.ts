import assert from 'node:assert/strict'
import { type Extent, endOf } from '../domain/extent.ts'
import { pageBytes } from '../format/sectors.ts'
import type { CallOptions } from '../ports/blob-store.ts'
import type { PageComparer } from './compare-pages.ts'
import { type DiskPart, type OpenStack, readStack } from './stack.ts'

/** Holes up to this size in what is compared are read through; across larger ones the stack is opened anew, which costs a shard of each
 * layer. */
const gapBytesMax = 8 * 1024 * 1024

/** Compares with what a stack shows, which streams beside the source, proven. Memory: that of one `readStack`.
 * @param ranges what will be asked for: in order of offset, not overlapping, on the disk of the stack */
export const createStackComparer = (stack: OpenStack, ranges: Iterable<Extent>, options: CallOptions): PageComparer => {
  const windows = windowsOf(ranges)[Symbol.iterator]()
  let parts: AsyncGenerator<DiskPart> | null = null
  let windowEnd = 0
  let current: DiskPart | null = null
  const seek = async (offsetBytes: number): Promise<DiskPart> => {
    while (current === null || endOf(current) <= offsetBytes) {
      if (offsetBytes >= windowEnd) {
        await parts?.return(undefined)
        const next = windows.next()
        assert(!next.done, 'only ranges that were named are compared')
        windowEnd = endOf(next.value)
        parts = readStack(stack, next.value, options)
      }
      const part = await parts?.next()
      if (part !== undefined && !part.done) current = part.value
    }
    return current
  }
  const isHeldSlowly = async (bytes: Buffer, offsetBytes: number): Promise<boolean> => {
    let isSame = true
    for (let at = 0; at < bytes.length; ) {
      const part = await seek(offsetBytes + at)
      const count = Math.min(bytes.length - at, endOf(part) - offsetBytes - at)
      isSame &&= isEqual(bytes.subarray(at, at + count), part, offsetBytes + at)
      at += count
    }
    return isSame
  }
  return {
    isHeld: (bytes, offsetBytes) => {
      const isInside =
        current !== null && current.offsetBytes <= offsetBytes && offsetBytes + bytes.length <= endOf(current)
      return isInside && current !== null ? isEqual(bytes, current, offsetBytes) : isHeldSlowly(bytes, offsetBytes)
    },
    close: async () => {
      await parts?.return(undefined)
    },
  }
}

const zeroPage = Buffer.alloc(pageBytes)

const isEqual = (bytes: Buffer, part: DiskPart, offsetBytes: number): boolean => {
  if (part.bytes === null) return bytes.compare(zeroPage, 0, bytes.length) === 0
  const from = offsetBytes - part.offsetBytes
  return bytes.compare(part.bytes, from, from + bytes.length) === 0
}

/** Ranges joined across holes that are cheaper to read than to pass over. */
function* windowsOf(ranges: Iterable<Extent>): Generator<Extent> {
  let open: Extent | null = null
  for (const { offsetBytes, lengthBytes } of ranges) {
    if (open !== null && offsetBytes - endOf(open) <= gapBytesMax) {
      open = { offsetBytes: open.offsetBytes, lengthBytes: offsetBytes + lengthBytes - open.offsetBytes }
      continue
    }
    if (open !== null) yield open
    open = { offsetBytes, lengthBytes }
  }
  if (open !== null) yield open
}
