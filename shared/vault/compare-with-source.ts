import { differingToldMax } from '../domain/disk-report.ts'
import type { ChangedRange, Extent } from '../domain/extent.ts'
import type { CommittedDisk } from '../domain/recovery-point.ts'
import type { KeyRing } from '../format/data-key.ts'
import { pageBytes } from '../format/sectors.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import { callOptions } from './objects.ts'
import { type OpenStack, openStack, readStack } from './stack.ts'

/** Which part of a disk is compared. Bytes are of the raw disk. */
export interface CompareRequest {
  readonly disk: Pick<CommittedDisk, 'stack' | 'sizeBytes'>
  /** Where the call before ended; 0 at first. */
  readonly fromOffsetBytes: number
  /** Ends soon after that many bytes were read of the source. */
  readonly budgetBytes: number
  /** One in so many windows of 16 MiB is compared, from window `first` on; 1 for the whole disk. */
  readonly sample: { readonly oneIn: number; readonly first: number }
  readonly signal?: AbortSignal
}

/** `size-differs`: the source is not of the size that the commit record says. */
export type ComparedWithSource =
  | {
      readonly kind: 'more' | 'done'
      readonly nextOffsetBytes: number
      /** Read of the source. Where neither side has anything, nothing is read. */
      readonly comparedBytes: number
      readonly differingBytes: number
      /** Pages that differ, in order, joined where they touch: the first `differingToldMax`. */
      readonly differing: readonly Extent[]
    }
  | { readonly kind: 'size-differs'; readonly sourceBytes: number }

const windowBytes = 16 * 1024 * 1024

/** Reads a disk back from the vault, proven, and compares it byte by byte with the copy that it was transferred from, as long as the platform
 * still has that. Changes nothing. Memory: two windows and that of one `readStack`.
 * @param deps `reader` opened without a base: it lists what is allocated
 * @throws VaultError where stored bytes are damaged; SourceError and StorageError of the ports */
export const compareWithSource = async (
  deps: { readonly vault: ObjectReader; readonly reader: DiskReader; readonly keys: KeyRing },
  request: CompareRequest,
): Promise<ComparedWithSource> => {
  const options = callOptions(request.signal)
  const { sizeBytes } = request.disk
  const sourceBytes = await deps.reader.sizeBytes(options)
  if (sourceBytes !== sizeBytes) return { kind: 'size-differs', sourceBytes }
  const stack = await openStack(deps.vault, request.disk, { ...options, keys: deps.keys })
  const rest = { offsetBytes: request.fromOffsetBytes, lengthBytes: sizeBytes - request.fromOffsetBytes }
  const source = deps.reader.listRanges(rest, options)[Symbol.asyncIterator]()
  const isAllocated = touching(source)
  const found: Extent[] = []
  let comparedBytes = 0
  let differingBytes = 0
  try {
    for (const window of windowsOf(rest, request.sample)) {
      if (comparedBytes >= request.budgetBytes)
        return { kind: 'more', nextOffsetBytes: window.offsetBytes, comparedBytes, differingBytes, differing: found }
      const stored = await storedBytes(stack, window, options)
      const isListed = await isAllocated(window)
      if (stored === null && !isListed) continue
      const actual = Buffer.allocUnsafeSlow(window.lengthBytes)
      await deps.reader.readInto(actual, window.offsetBytes, options)
      comparedBytes += window.lengthBytes
      for (const page of differingPages(stored ?? Buffer.alloc(window.lengthBytes), actual, window.offsetBytes)) {
        differingBytes += page.lengthBytes
        addExtent(found, page)
      }
    }
  } finally {
    await source.return?.()
  }
  return { kind: 'done', nextOffsetBytes: sizeBytes, comparedBytes, differingBytes, differing: found }
}

/** Windows begin at multiples of their size, whatever the offset; the first may be the rest of one. */
function* windowsOf(rest: Extent, { oneIn, first }: CompareRequest['sample']): Generator<Extent> {
  const end = rest.offsetBytes + rest.lengthBytes
  for (let at = rest.offsetBytes; at < end; ) {
    const number = Math.floor(at / windowBytes)
    const next = Math.min(end, (number + 1) * windowBytes)
    if (number % oneIn === first % oneIn) yield { offsetBytes: at, lengthBytes: next - at }
    at = next
  }
}

/** What the vault holds of the window; null where that is zeros alone. */
const storedBytes = async (stack: OpenStack, window: Extent, options: CallOptions): Promise<Buffer | null> => {
  let bytes: Buffer | null = null
  for await (const part of readStack(stack, window, options)) {
    if (part.bytes === null) continue
    bytes ??= Buffer.alloc(window.lengthBytes)
    bytes.set(part.bytes, part.offsetBytes - window.offsetBytes)
  }
  return bytes
}

/** Tells of windows, asked for in order, whether a listed range touches them. */
const touching = (pages: AsyncIterator<readonly ChangedRange[]>) => {
  let ranges: readonly ChangedRange[] = []
  let index = 0
  return async ({ offsetBytes, lengthBytes }: Extent): Promise<boolean> => {
    for (;;) {
      const range = ranges[index]
      if (range !== undefined) {
        if (range.offsetBytes >= offsetBytes + lengthBytes) return false
        if (range.offsetBytes + range.lengthBytes > offsetBytes) return true
        index += 1
        continue
      }
      const page = await pages.next()
      if (page.done === true) return false
      ranges = page.value
      index = 0
    }
  }
}

function* differingPages(stored: Buffer, actual: Buffer, offsetBytes: number): Generator<Extent> {
  if (stored.equals(actual)) return
  for (let at = 0; at < actual.length; at += pageBytes) {
    const end = Math.min(actual.length, at + pageBytes)
    if (stored.compare(actual, at, end, at, end) !== 0) yield { offsetBytes: offsetBytes + at, lengthBytes: end - at }
  }
}

const addExtent = (list: Extent[], extent: Extent): void => {
  const last = list.at(-1)
  if (last !== undefined && last.offsetBytes + last.lengthBytes === extent.offsetBytes)
    list[list.length - 1] = { ...last, lengthBytes: last.lengthBytes + extent.lengthBytes }
  else if (list.length < differingToldMax) list.push(extent)
}
