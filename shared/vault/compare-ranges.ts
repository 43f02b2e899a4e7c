import { type ChangedRange, type Extent, endOf } from '../domain/extent.ts'
import type { CallOptions } from '../ports/blob-store.ts'
import type { DiskReader } from '../ports/disk-reader.ts'
import { layerRuns } from './layer-reader.ts'
import { mergeLayers } from './merge-layers.ts'
import type { OpenStack } from './stack.ts'

/** The same source, whose list also names as cleared what the stack shows and the source does not list, from an offset on: lying on the
 * stack, the new layer must hide it. Reads the stack's index there, no frame.
 * @param stack opened with the size of the source's disk
 * @throws VaultError from the list, where the stack's index is missing or damaged */
export const withHolesCleared = (reader: DiskReader, stack: OpenStack, fromBytes: number): DiskReader => ({
  ...reader,
  get counters() {
    return reader.counters
  },
  listRanges: (window, options = {}) => {
    const beginsAt = Math.max(fromBytes, window?.offsetBytes ?? 0)
    const end = window === null ? stack.sizeBytes : endOf(window)
    const covered = { offsetBytes: beginsAt, lengthBytes: Math.max(0, end - beginsAt) }
    return clearHoles(reader.listRanges(window, options), heldExtents(stack, covered, options), covered)
  },
})

async function* clearHoles(
  pages: AsyncIterable<readonly ChangedRange[]>,
  held: AsyncGenerator<Extent, undefined>,
  window: Extent,
): AsyncGenerator<readonly ChangedRange[]> {
  let at = window.offsetBytes
  let next = await held.next()
  let ranges: ChangedRange[] = []
  const take = (): ChangedRange[] => {
    const taken = ranges
    ranges = []
    return taken
  }
  /** Adds what is held between `at` and the offset; false where it stopped as enough is gathered. */
  const addHoles = async (offsetBytes: number): Promise<boolean> => {
    while (!next.done && next.value.offsetBytes < offsetBytes) {
      const begin = Math.max(at, next.value.offsetBytes)
      const end = Math.min(offsetBytes, endOf(next.value))
      if (begin < end) ranges.push({ offsetBytes: begin, lengthBytes: end - begin, kind: 'clear' })
      at = Math.max(at, end)
      if (endOf(next.value) > offsetBytes) return true
      next = await held.next()
      if (ranges.length >= rangesPerPage) return false
    }
    return true
  }
  try {
    for await (const page of pages) {
      for (const range of page) {
        while (!(await addHoles(range.offsetBytes))) yield take()
        ranges.push(range)
        at = Math.max(at, endOf(range))
      }
      yield take()
    }
    while (!(await addHoles(endOf(window)))) yield take()
    yield take()
  } finally {
    await held.return(undefined)
  }
}

const rangesPerPage = 4096

/** Where the stack shows data: in order of offset, joined where they touch. */
async function* heldExtents(stack: OpenStack, window: Extent, options: CallOptions): AsyncGenerator<Extent, undefined> {
  if (window.lengthBytes === 0) return undefined
  const layers = stack.layers.map((layer) => layerRuns(stack.reader, layer, window, options))
  let open: Extent | null = null
  for await (const { frame, offsetBytes, lengthBytes } of mergeLayers(layers, window)) {
    if (frame === null) continue
    if (open !== null && endOf(open) === offsetBytes) {
      open = { offsetBytes: open.offsetBytes, lengthBytes: open.lengthBytes + lengthBytes }
      continue
    }
    if (open !== null) yield open
    open = { offsetBytes, lengthBytes }
  }
  if (open !== null) yield open
  return undefined
}
