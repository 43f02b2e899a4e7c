import type { ChangedRange, Extent } from '../../../shared/domain/extent.ts'
import { pageBytes } from './allocated-extents.ts'
import type { OpenImage } from './sparse-image.ts'

const chunkBytes = 1 << 20
const batchPartsMax = 64

export interface DiffSide {
  readonly image: OpenImage
  readonly sizeBytes: number
  /** Allocated extents, sorted, aligned to 4096 but for the last. */
  readonly extents: AsyncIterable<Extent>
}

/** What changed from `base` to `target`, page by page of 4096 bytes: pages whose bytes differ are `data`, pages that held bytes
 * in the base and are unallocated in the target are `clear`. Sorted, joined where they touch, clipped to the target's size.
 * Reads both images once, where either has something, in bounded memory.
 * @param granularityBytes a multiple of 4096; above 4096 each changed page makes its whole neighbourhood count as written, as
 *   real diffs may name more than differs */
export const diffImages = (
  base: DiffSide,
  target: DiffSide,
  granularityBytes = pageBytes,
): AsyncIterable<ChangedRange> => {
  const changes = changedPages(base, target)
  const widened = granularityBytes > pageBytes ? widen(changes, granularityBytes, target.sizeBytes) : changes
  return joinRanges(widened)
}

/** Parts are read some at a time: scattered pages would else wait for the disk one by one. */
async function* changedPages(base: DiffSide, target: DiffSide): AsyncGenerator<ChangedRange> {
  const baseBuffer = Buffer.allocUnsafe(chunkBytes)
  const targetBuffer = Buffer.allocUnsafe(chunkBytes)
  for await (const batch of batches(unionOf(base.extents, target.extents, target.sizeBytes))) {
    let at = 0
    const pieces = batch.map((part) => {
      const lengthBytes = part.end - part.start
      const [before, after] = [baseBuffer.subarray(at, at + lengthBytes), targetBuffer.subarray(at, at + lengthBytes)]
      at += lengthBytes
      return { part, before, after }
    })
    await Promise.all(pieces.map(({ part, before, after }) => readBoth(base, target, part, before, after)))
    for (const { part, before, after } of pieces) {
      if (!before.equals(after)) yield* differingPages(before, after, part.start, part.inTarget ? 'data' : 'clear')
    }
  }
}

const readBoth = async (
  base: DiffSide,
  target: DiffSide,
  part: UnionPart,
  before: Buffer,
  after: Buffer,
): Promise<void> => {
  await Promise.all([
    part.inBase ? readWithin(base, before, part.start) : before.fill(0),
    part.inTarget ? target.image.read(after, part.start) : after.fill(0),
  ])
}

/** Groups of parts that fit the buffers, large parts cut up. */
async function* batches(parts: AsyncIterable<UnionPart>): AsyncGenerator<readonly UnionPart[]> {
  let batch: UnionPart[] = []
  let room = chunkBytes
  for await (const part of parts) {
    for (let start = part.start; start < part.end; ) {
      const end = Math.min(part.end, start + room)
      batch.push({ ...part, start, end })
      room -= end - start
      start = end
      if (room > 0 && batch.length < batchPartsMax) continue
      yield batch
      batch = []
      room = chunkBytes
    }
  }
  yield batch
}

/** A grown disk's base ends earlier; what lies behind its end was zero. */
const readWithin = async (side: DiffSide, target: Buffer, offsetBytes: number): Promise<void> => {
  const present = Math.max(0, Math.min(target.byteLength, side.sizeBytes - offsetBytes))
  target.fill(0, present)
  if (present > 0) await side.image.read(target.subarray(0, present), offsetBytes)
}

function* differingPages(
  before: Buffer,
  after: Buffer,
  offsetBytes: number,
  kind: ChangedRange['kind'],
): Generator<ChangedRange> {
  for (let at = 0; at < before.byteLength; at += pageBytes) {
    const end = Math.min(at + pageBytes, before.byteLength)
    if (before.compare(after, at, end, at, end) !== 0) {
      yield { kind, offsetBytes: offsetBytes + at, lengthBytes: end - at }
    }
  }
}

interface UnionPart {
  readonly start: number
  readonly end: number
  readonly inBase: boolean
  readonly inTarget: boolean
}

/** Merges two sorted lists of extents into parts that lie in one, the other or both. */
async function* unionOf(
  base: AsyncIterable<Extent>,
  target: AsyncIterable<Extent>,
  endBytes: number,
): AsyncGenerator<UnionPart> {
  const [left, right] = [cursorOf(base), cursorOf(target)]
  let [a, b] = [await left.next(0), await right.next(0)]
  let at = 0
  while (a !== null || b !== null) {
    at = Math.max(at, Math.min(a?.start ?? Number.POSITIVE_INFINITY, b?.start ?? Number.POSITIVE_INFINITY))
    const inBase = a !== null && a.start <= at
    const inTarget = b !== null && b.start <= at
    const borders = [inBase ? a?.end : a?.start, inTarget ? b?.end : b?.start].filter((border) => border !== undefined)
    const end = Math.min(endBytes, ...borders)
    if (end <= at) return
    yield { start: at, end, inBase, inTarget }
    at = end
    if (a !== null && a.end <= at) a = await left.next(at)
    if (b !== null && b.end <= at) b = await right.next(at)
  }
}

const cursorOf = (extents: AsyncIterable<Extent>) => {
  const iterator = extents[Symbol.asyncIterator]()
  return {
    /** The next extent that ends after `at`, or null. */
    async next(at: number): Promise<{ readonly start: number; readonly end: number } | null> {
      for (let item = await iterator.next(); !item.done; item = await iterator.next()) {
        // A smaller base may end inside a page; the page is compared whole all the same.
        const end = Math.ceil((item.value.offsetBytes + item.value.lengthBytes) / pageBytes) * pageBytes
        if (end > at) return { start: item.value.offsetBytes, end }
      }
      return null
    },
  }
}

/** Turns each neighbourhood that holds a written page into one written range. Cleared pages are never widened: a page that still
 * holds bytes must not be called zero. */
async function* widen(
  ranges: AsyncIterable<ChangedRange>,
  granularityBytes: number,
  sizeBytes: number,
): AsyncGenerator<ChangedRange> {
  let cell = -1
  let waiting: ChangedRange[] = []
  const settled = (): ChangedRange[] => {
    if (!waiting.some((range) => range.kind === 'data')) return waiting
    const offsetBytes = cell * granularityBytes
    return [{ kind: 'data', offsetBytes, lengthBytes: Math.min(granularityBytes, sizeBytes - offsetBytes) }]
  }
  for await (const range of ranges) {
    const next = Math.floor(range.offsetBytes / granularityBytes)
    if (next !== cell) {
      yield* settled()
      cell = next
      waiting = []
    }
    waiting.push(range)
  }
  yield* settled()
}

async function* joinRanges(ranges: AsyncIterable<ChangedRange>): AsyncGenerator<ChangedRange> {
  let open: { kind: ChangedRange['kind']; start: number; end: number } | null = null
  for await (const { kind, offsetBytes, lengthBytes } of ranges) {
    if (open !== null && open.kind === kind && open.end === offsetBytes) {
      open.end += lengthBytes
      continue
    }
    if (open !== null) yield { kind: open.kind, offsetBytes: open.start, lengthBytes: open.end - open.start }
    open = { kind, start: offsetBytes, end: offsetBytes + lengthBytes }
  }
  if (open !== null) yield { kind: open.kind, offsetBytes: open.start, lengthBytes: open.end - open.start }
}
