import type { ChangedRange, Extent } from '../../shared/domain/extent.ts'
import type { DiskReader } from '../../shared/ports/disk-reader.ts'
import type { DiskWriter } from '../../shared/ports/disk-writer.ts'

/** A reader over bytes and the ranges that the platform would name.
 * @param pageRanges ranges of one listing page */
export const memoryDiskReader = (
  bytes: Buffer,
  ranges: readonly ChangedRange[],
  pageRanges = 100,
): DiskReader & { readonly reads: Extent[] } => {
  const counters = { listCalls: 0, readCalls: 0, readBytes: 0 }
  const reads: Extent[] = []
  return {
    counters,
    reads,
    sizeBytes: async () => bytes.length,
    async *listRanges() {
      for (let at = 0; at === 0 || at < ranges.length; at += pageRanges) {
        counters.listCalls += 1
        yield ranges.slice(at, at + pageRanges)
      }
    },
    readInto: async (target, offsetBytes, options) => {
      await Promise.resolve()
      options?.signal?.throwIfAborted()
      counters.readCalls += 1
      counters.readBytes += target.length
      reads.push({ offsetBytes, lengthBytes: target.length })
      if (offsetBytes + target.length > bytes.length) throw new RangeError('a read goes beyond the disk')
      target.set(bytes.subarray(offsetBytes, offsetBytes + target.length))
    },
    close: () => undefined,
  }
}

/** A fresh disk of zeros that is written to. */
export const memoryDiskWriter = (sizeBytes: number): DiskWriter & { readonly bytes: Buffer } => {
  const bytes = Buffer.alloc(sizeBytes)
  const counters = { writeCalls: 0, writtenBytes: 0 }
  return {
    bytes,
    counters,
    write: async (offsetBytes, written) => {
      if (offsetBytes % 512 !== 0 || written.length % 512 !== 0) throw new RangeError('writes are whole sectors')
      if (offsetBytes + written.length > sizeBytes) throw new RangeError('a write goes beyond the disk')
      const copy = Buffer.from(written)
      await Promise.resolve()
      bytes.set(copy, offsetBytes)
      counters.writeCalls += 1
      counters.writtenBytes += written.length
    },
    writeFooter: async () => undefined,
    close: () => undefined,
  }
}

/** A reader over a disk of any size whose content follows from the offset: nothing is held in memory.
 * @param fill writes what the disk holds from `offsetBytes` on into the target */
export const generatedDiskReader = (
  sizeBytes: number,
  ranges: Iterable<ChangedRange>,
  fill: (target: Uint8Array, offsetBytes: number) => void,
): DiskReader => {
  const counters = { listCalls: 0, readCalls: 0, readBytes: 0 }
  return {
    counters,
    sizeBytes: async () => sizeBytes,
    async *listRanges() {
      let page: ChangedRange[] = []
      for (const range of ranges) {
        page.push(range)
        if (page.length < 10_000) continue
        counters.listCalls += 1
        yield page
        page = []
      }
      counters.listCalls += 1
      yield page
    },
    readInto: async (target, offsetBytes) => {
      await Promise.resolve()
      counters.readCalls += 1
      counters.readBytes += target.length
      fill(target, offsetBytes)
    },
    close: () => undefined,
  }
}
