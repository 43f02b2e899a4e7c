import type { Extent } from '../domain/extent.ts'
import type { FenceKey } from '../format/index-footer.ts'
import { firstShardFrom, type Layer } from './layer-reader.ts'
import type { WrittenPart } from './restore-lane.ts'

/** Of one step: lanes then end at nearly the same time, as the last ones that are taken are small. */
const piecesMax = 64
/** Pieces end at whole MiB, as frames of neighbouring pages mostly do. */
const alignmentBytes = 1024 * 1024

/** Cuts a window into pieces that hold about as much data each, judged by the layers' fence keys alone: what several layers have at one
 * place counts several times, and a shard's data as spread evenly over it.
 * @param budgetBytes pieces with so much data, then no more
 * @returns ends of the pieces, ascending; the last one is the window's end where the budget suffices for it. Empty for an empty window */
export const cutPieces = (layers: readonly Layer[], window: Extent, budgetBytes: number): readonly number[] => {
  const windowEnd = window.offsetBytes + window.lengthBytes
  const pieceBytes = budgetBytes / piecesMax
  const cursors = layers.map((layer) => shardsFrom(layer, window.offsetBytes))
  const ends: number[] = []
  let dataBytes = 0
  let doneBytes = 0
  for (let at = window.offsetBytes; at < windowEnd; ) {
    const { density, endBytes } = stretchFrom(cursors, at, windowEnd)
    const wantedBytes = density === 0 ? windowEnd : Math.max(1, (pieceBytes - dataBytes) / density)
    const reach = Math.min(endBytes, alignedUp(at + wantedBytes))
    dataBytes += (reach - at) * density
    at = reach
    if (dataBytes < pieceBytes) continue
    ends.push(at)
    doneBytes += dataBytes
    dataBytes = 0
    if (doneBytes >= budgetBytes) return ends
  }
  return ends.at(-1) === windowEnd || window.lengthBytes === 0 ? ends : [...ends, windowEnd]
}

const alignedUp = (bytes: number): number => Math.ceil(bytes / alignmentBytes) * alignmentBytes

interface ShardCursor {
  /** The shard at or behind the place; null behind the last one. */
  fence: FenceKey | null
  readonly next: () => void
  /** Of one frame, on average. */
  readonly frameBytes: number
}

const shardsFrom = ({ footer }: Layer, offsetBytes: number): ShardCursor => {
  let index = firstShardFrom(footer, offsetBytes)
  const fenceHere = () => (index < footer.shards ? footer.fence(index) : null)
  const cursor: ShardCursor = {
    fence: fenceHere(),
    next: () => {
      index += 1
      cursor.fence = fenceHere()
    },
    frameBytes: footer.frames === 0 ? 0 : footer.dataBytes / footer.frames,
  }
  return cursor
}

/** Bytes of data for each byte of the disk, and how far that goes. */
const stretchFrom = (
  cursors: readonly ShardCursor[],
  at: number,
  windowEnd: number,
): { readonly density: number; readonly endBytes: number } => {
  let density = 0
  let endBytes = windowEnd
  for (const cursor of cursors) {
    while (cursor.fence !== null && cursor.fence.endBytes <= at) cursor.next()
    if (cursor.fence === null) continue
    const { firstBytes, endBytes: shardEnd, frames } = cursor.fence
    if (firstBytes <= at) density += (frames * cursor.frameBytes) / (shardEnd - firstBytes)
    endBytes = Math.min(endBytes, firstBytes > at ? firstBytes : shardEnd)
  }
  return { density, endBytes }
}

/** The pieces of one step, handed out in order to several lanes. */
export interface RestoreParts {
  /** The next part: many pieces while much is left, then fewer, so that lanes end at the same time. Null where nothing is left or enough
   * was written.
   * @param written what came of the part before, of whichever lane */
  take(written: WrittenPart | null): Extent | null
  /** After all lanes have ended. */
  result(): { readonly nextOffsetBytes: number; readonly writtenBytes: number }
}

/** @param ends see `cutPieces`
 * @param lanes how many there are */
export const createRestoreParts = (
  fromOffsetBytes: number,
  ends: readonly number[],
  budgetBytes: number,
  lanes: () => number,
): RestoreParts => {
  let taken = 0
  let writtenBytes = 0
  let nextOffsetBytes = fromOffsetBytes
  /** The first offset of a part that was not written whole. */
  let unwritten = Number.POSITIVE_INFINITY
  const partEnds = new Map<number, number>()
  const note = (written: WrittenPart): void => {
    writtenBytes += written.writtenBytes
    if (written.nextOffsetBytes !== partEnds.get(written.offsetBytes))
      unwritten = Math.min(unwritten, written.nextOffsetBytes)
  }
  return {
    take: (written) => {
      if (written !== null) note(written)
      const left = ends.length - taken
      if (left === 0 || writtenBytes >= budgetBytes || unwritten < Number.POSITIVE_INFINITY) return null
      taken += lanes() === 1 ? left : Math.ceil(left / (2 * lanes()))
      const offsetBytes = nextOffsetBytes
      nextOffsetBytes = ends[taken - 1] ?? offsetBytes
      partEnds.set(offsetBytes, nextOffsetBytes)
      return { offsetBytes, lengthBytes: nextOffsetBytes - offsetBytes }
    },
    result: () => ({ nextOffsetBytes: Math.min(nextOffsetBytes, unwritten), writtenBytes }),
  }
}
