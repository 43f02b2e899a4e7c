import assert from 'node:assert/strict'
import type { Extent } from '../domain/extent.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import { type KeyRing, noKeys } from '../format/data-key.ts'
import type { FramePlace } from '../format/frame.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { createBatchMemory } from './batch-memory.ts'
import { createFrameLoader, type FrameLoader, readBytesMax, type StoredFrame } from './frame-loader.ts'
import { type Layer, layerRuns, openLayer } from './layer-reader.ts'
import { type MergedRun, mergeLayers } from './merge-layers.ts'
import { createOpenFrames, type OpenFrames, transferOf } from './open-frames.ts'

/** A disk at a recovery point, ready to be read: all footers are in memory and proven. */
export interface OpenStack {
  readonly reader: ObjectReader
  readonly layers: readonly Layer[]
  readonly sizeBytes: number
  readonly keys: KeyRing
}

/** How a stack is read, for as long as it is open. */
export interface OpenStackOptions extends CallOptions {
  /** For frames that are encrypted; none where absent. */
  readonly keys?: KeyRing
}

/** A part of the disk; `bytes` are null where it reads as zeros, and good until the next part is asked for or the reading ends. */
export interface DiskPart extends Extent {
  readonly bytes: Uint8Array | null
}

/** How one part of it is read. */
export interface ReadStackOptions extends CallOptions {
  /** Asked for memory for a frame's plain bytes and one more, where the disk shows all of them from an offset on, but for those that newer
   * layers hide: these follow as parts of their own, to be put on top. Null where there is none. The parts before that offset have been
   * used by then; what is given belongs to the reading until a part behind those bytes is handed out. */
  readonly memoryAt?: (offsetBytes: number, plainBytes: number) => Promise<Buffer | null>
}

/** Reads and proves the footers of all layers. A layer of a smaller disk just ends earlier. @throws VaultError */
export const openStack = async (
  reader: ObjectReader,
  of: { readonly stack: readonly LayerReference[]; readonly sizeBytes: number },
  options: OpenStackOptions = {},
): Promise<OpenStack> => {
  const layers = await Promise.all(of.stack.map((reference) => openLayer(reader, reference, options)))
  return { reader, layers, sizeBytes: of.sizeBytes, keys: options.keys ?? noKeys }
}

/** The disk's content in the window: parts in order, without holes, every byte proven. Memory: about 20 MiB, and a frame and a shard
 * for each layer.
 * @param window inside the disk; whole sectors
 * @throws VaultError before any byte that is not proven would be handed out */
export async function* readStack(
  stack: OpenStack,
  window: Extent,
  options: ReadStackOptions = {},
): AsyncGenerator<DiskPart> {
  for await (const parts of readStackInGroups(stack, window, options)) yield* parts
}

/** The same, with parts that are there at the same time handed out together: a restore has thousands of small ones.
 * @returns none empty; bytes are good until the next group is asked for */
export async function* readStackInGroups(
  stack: OpenStack,
  window: Extent,
  options: ReadStackOptions = {},
): AsyncGenerator<readonly DiskPart[]> {
  assert(window.offsetBytes >= 0 && window.offsetBytes + window.lengthBytes <= stack.sizeBytes)
  const end = new AbortController()
  const signal = options.signal === undefined ? end.signal : AbortSignal.any([options.signal, end.signal])
  const load = createFrameLoader(stack.reader, { signal })
  const wanted = newlyWanted()
  const frames = createOpenFrames(stack.keys)
  const memory = createBatchMemory(readBytesMax, batchesMax)
  const layers = stack.layers.map((layer) => layerRuns(stack.reader, layer, window, { signal }))
  const batches = inBatches(mergeLayers(layers, window))
  const waiting: LoadedBatch[] = []
  try {
    for (;;) {
      while (waiting.length < batchesMax) {
        const batch = await batches.next()
        if (batch.done) break
        waiting.push({ runs: batch.value, stored: load(wanted(batch.value), memory.next) })
      }
      const head = waiting.shift()
      if (head === undefined) break
      yield* groupsOf(head, { frames, load, memoryAt: options.memoryAt ?? noMemory })
      // Its memory is for another batch from here on.
      await Promise.allSettled(head.stored.values())
    }
    memory.close()
  } finally {
    end.abort()
    await Promise.allSettled(waiting.flatMap((batch) => [...batch.stored.values()]))
    await batches.return(undefined)
    frames.close()
  }
}

interface LoadedBatch {
  readonly runs: readonly MergedRun[]
  /** Header and payload of each frame that no batch before has wanted last; taken out when it is opened. */
  readonly stored: Map<FramePlace, Promise<StoredFrame>>
}

/** In memory at a time: one is read from while the next arrives. */
const batchesMax = 2
const batchRunsMax = 4096

/** Runs whose frames are fetched together: as many as one read may bring. Where that is nearly so, a batch ends with a segment, so that
 * its neighbours stay one read each. Zero runs that touch become one. */
async function* inBatches(runs: AsyncIterable<MergedRun>): AsyncGenerator<readonly MergedRun[], undefined> {
  const segments = new Map<string, string>()
  let batch: MergedRun[] = []
  let frames = new Set<FramePlace>()
  let storedBytes = 0
  const isFullFor = (frame: FramePlace): boolean => {
    const transfer = transferOf(frame)
    const segment = segments.get(transfer) ?? frame.segment
    segments.set(transfer, frame.segment)
    if (storedBytes + frame.storedBytes > readBytesMax) return storedBytes > 0
    return segment !== frame.segment && storedBytes * 2 > readBytesMax
  }
  for await (const run of runs) {
    const last = batch.at(-1)
    if (run.frame === null && last !== undefined && last.frame === null) {
      batch[batch.length - 1] = { ...last, lengthBytes: last.lengthBytes + run.lengthBytes }
      continue
    }
    const frame = run.frame === null || frames.has(run.frame) ? null : run.frame
    if (batch.length === batchRunsMax || (frame !== null && isFullFor(frame))) {
      yield batch
      batch = []
      frames = new Set()
      storedBytes = 0
    }
    batch.push(run)
    if (run.frame === null || frames.has(run.frame)) continue
    frames.add(run.frame)
    storedBytes += run.frame.storedBytes
  }
  if (batch.length > 0) yield batch
  return undefined
}

/** The frames of each batch but those that the batches before leave open (see OpenFrames). */
const newlyWanted = () => {
  const last = new Map<string, FramePlace>()
  return (runs: readonly MergedRun[]): readonly FramePlace[] => {
    const frames = new Set<FramePlace>()
    for (const { frame } of runs) if (frame !== null) frames.add(frame)
    const wanted = [...frames].filter((frame) => last.get(transferOf(frame)) !== frame)
    for (const frame of frames) last.set(transferOf(frame), frame)
    return wanted
  }
}

interface PartsDeps {
  readonly frames: OpenFrames
  readonly load: FrameLoader
  readonly memoryAt: NonNullable<ReadStackOptions['memoryAt']>
}

const noMemory = async (): Promise<null> => null

async function* groupsOf(
  batch: LoadedBatch,
  { frames, load, memoryAt }: PartsDeps,
): AsyncGenerator<readonly DiskPart[]> {
  const inOnePlace = framesInOnePlace(batch.runs)
  const lent = new Set<FramePlace>()
  const open = async (frame: FramePlace, offsetBytes: number): Promise<Uint8Array> => {
    // Where more were open than there may be, it was closed and has to be read again.
    const stored = await (batch.stored.get(frame) ?? load([frame]).get(frame))
    batch.stored.delete(frame)
    assert(stored !== undefined)
    const target = inOnePlace.delete(frame) ? await memoryAt(offsetBytes, frame.plainBytes) : null
    if (target !== null) lent.add(frame)
    const plain = frames.open(frame, stored.bytes, target)
    stored.done()
    return plain
  }
  let group: DiskPart[] = []
  for (const { offsetBytes, lengthBytes, frame, framePosition } of batch.runs) {
    let plain = frame === null ? null : frames.find(frame)
    if (frame !== null && plain === null) {
      // It may take the memory that parts before it lie in.
      if (group.length > 0) yield group
      group = []
      plain = await open(frame, offsetBytes)
    }
    const bytes = plain?.subarray(framePosition, framePosition + lengthBytes) ?? null
    assert(frame === null || bytes?.length === lengthBytes, 'a run lies inside its frame')
    group.push({ offsetBytes, lengthBytes, bytes })
    // Its memory is the caller's again.
    if (frame !== null && framePosition + lengthBytes === frame.plainBytes && lent.has(frame)) frames.drop(frame)
  }
  if (group.length > 0) yield group
}

interface ShownPlace {
  /** Of the frame's first byte. */
  readonly offsetBytes: number
  readonly zeroRunsBefore: number
}

/** Frames whose bytes the disk shows from the first to the last at one place, but for those that data of other frames hide. */
const framesInOnePlace = (runs: readonly MergedRun[]): Set<FramePlace> => {
  const places = new Map<FramePlace, ShownPlace | null>()
  const whole = new Set<FramePlace>()
  let zeroRunsBefore = 0
  for (const { offsetBytes, lengthBytes, frame, framePosition } of runs) {
    if (frame === null) {
      zeroRunsBefore += 1
      continue
    }
    if (!places.has(frame)) places.set(frame, framePosition === 0 ? { offsetBytes, zeroRunsBefore } : null)
    const place = places.get(frame) ?? null
    const isInPlace =
      place?.offsetBytes === offsetBytes - framePosition && place.zeroRunsBefore === zeroRunsBefore && !whole.has(frame)
    if (!isInPlace) {
      places.set(frame, null)
      whole.delete(frame)
    } else if (framePosition + lengthBytes === frame.plainBytes) whole.add(frame)
  }
  return whole
}
