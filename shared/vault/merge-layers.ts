import { type Extent, endOf } from '../domain/extent.ts'
import type { PlacedRun } from '../format/shard-builder.ts'

/** A part of the disk as the stack shows it: bytes of one frame, or zeros. `layer` counts from 0, the newest; -1 where no layer has
 * anything. */
export interface MergedRun extends PlacedRun {
  readonly layer: number
}

interface Cursor {
  readonly batches: AsyncIterator<readonly PlacedRun[]>
  batch: readonly PlacedRun[]
  at: number
  run: PlacedRun | null
}

/** Merges sorted layers; at each offset the newest layer that has a run there wins. Covers the window without holes, in order.
 * Memory: one batch of runs for each layer.
 * @param layers newest first; runs sorted and not overlapping within a layer */
export async function* mergeLayers(
  layers: readonly AsyncIterable<readonly PlacedRun[]>[],
  window: Extent,
): AsyncGenerator<MergedRun> {
  const cursors = layers.map(
    (layer): Cursor => ({ batches: layer[Symbol.asyncIterator](), batch: [], at: 0, run: null }),
  )
  const windowEnd = endOf(window)
  try {
    await Promise.all(cursors.map((cursor) => advance(cursor, window.offsetBytes)))
    let position = window.offsetBytes
    while (position < windowEnd) {
      const run = visibleAt(cursors, position, windowEnd)
      yield run
      position += run.lengthBytes
      for (const cursor of cursors) if (isBehind(cursor, position)) await advance(cursor, position)
    }
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.batches.return?.()))
  }
}

const isBehind = (cursor: Cursor, position: number): boolean => cursor.run !== null && endOf(cursor.run) <= position

/** Moves to the first run that ends behind the position; null at the layer's end. */
const advance = async (cursor: Cursor, position: number): Promise<void> => {
  for (;;) {
    const run = cursor.batch[cursor.at]
    if (run !== undefined) {
      cursor.run = run
      if (endOf(run) > position) return
      cursor.at += 1
      continue
    }
    const next = await cursor.batches.next()
    if (next.done) {
      cursor.run = null
      return
    }
    cursor.batch = next.value
    cursor.at = 0
  }
}

/** The longest part from the position on that one layer shows. */
const visibleAt = (cursors: readonly Cursor[], position: number, windowEnd: number): MergedRun => {
  let end = windowEnd
  for (const [layer, { run }] of cursors.entries()) {
    if (run === null) continue
    if (run.offsetBytes <= position) {
      const lengthBytes = Math.min(end, endOf(run)) - position
      const skipped = position - run.offsetBytes
      return { offsetBytes: position, lengthBytes, frame: run.frame, framePosition: run.framePosition + skipped, layer }
    }
    end = Math.min(end, run.offsetBytes)
  }
  return { offsetBytes: position, lengthBytes: end - position, frame: null, framePosition: 0, layer: -1 }
}
