import assert from 'node:assert/strict'
import type { Extent } from '../domain/extent.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import { type KeyRing, noKeys } from '../format/data-key.ts'
import type { FramePlace } from '../format/frame.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { createFrameLoader, type FrameLoader } from './frame-loader.ts'
import { type Layer, layerRuns, openLayer } from './layer-reader.ts'
import { type MergedRun, mergeLayers } from './merge-layers.ts'

/** A disk at a recovery point, ready to be read: all footers are in memory and proven. */
export interface OpenStack {
  readonly reader: ObjectReader
  readonly layers: readonly Layer[]
  readonly sizeBytes: number
  readonly keys: KeyRing
}

export interface OpenStackOptions extends CallOptions {
  /** For frames that are encrypted; none where absent. */
  readonly keys?: KeyRing
}

/** A part of the disk; `bytes` are null where it reads as zeros, and stay good. */
export interface DiskPart extends Extent {
  readonly bytes: Uint8Array | null
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

/** The disk's content in the window: parts in order, without holes, every byte proven. Memory: about 60 MiB, and a frame and a shard
 * for each layer.
 * @param window inside the disk; whole sectors
 * @throws VaultError before any byte that is not proven would be handed out */
export async function* readStack(
  stack: OpenStack,
  window: Extent,
  options: CallOptions = {},
): AsyncGenerator<DiskPart> {
  assert(window.offsetBytes >= 0 && window.offsetBytes + window.lengthBytes <= stack.sizeBytes)
  const end = new AbortController()
  const signal = options.signal === undefined ? end.signal : AbortSignal.any([options.signal, end.signal])
  const load = keepingLast(createFrameLoader(stack.reader, stack.keys, { signal }))
  const layers = stack.layers.map((layer) => layerRuns(stack.reader, layer, window, { signal }))
  const batches = inBatches(mergeLayers(layers, window))
  const waiting: LoadedBatch[] = []
  try {
    for (;;) {
      while (waiting.length < batchesAheadMax) {
        const batch = await batches.next()
        if (batch.done) break
        waiting.push({ runs: batch.value, frames: load(batch.value) })
      }
      const head = waiting.shift()
      if (head === undefined) return
      yield* partsOf(head)
    }
  } finally {
    end.abort()
    await Promise.allSettled(waiting.flatMap((batch) => [...batch.frames.values()]))
    await batches.return(undefined)
  }
}

interface LoadedBatch {
  readonly runs: readonly MergedRun[]
  readonly frames: ReadonlyMap<FramePlace, Promise<Uint8Array>>
}

const batchesAheadMax = 3
const batchPlainBytes = 4 * 1024 * 1024
const batchRunsMax = 4096

/** Runs whose frames are fetched together. Zero runs that touch become one. */
async function* inBatches(runs: AsyncIterable<MergedRun>): AsyncGenerator<readonly MergedRun[], undefined> {
  let batch: MergedRun[] = []
  let frames = new Set<FramePlace>()
  let plainBytes = 0
  for await (const run of runs) {
    const last = batch.at(-1)
    if (run.frame === null && last !== undefined && last.frame === null) {
      batch[batch.length - 1] = { ...last, lengthBytes: last.lengthBytes + run.lengthBytes }
      continue
    }
    batch.push(run)
    if (run.frame !== null && !frames.has(run.frame)) {
      frames.add(run.frame)
      plainBytes += run.frame.plainBytes
    }
    if (plainBytes < batchPlainBytes && batch.length < batchRunsMax) continue
    yield batch
    batch = []
    frames = new Set()
    plainBytes = 0
  }
  if (batch.length > 0) yield batch
  return undefined
}

/** Frames kept from one batch to the next, at most one for each attempt that made them: the frames of an attempt come in order of offset,
 * in a folded layer, too, so only the last one can be wanted again. Deep stacks beyond this read some frames twice. */
const keptFramesMax = 48

const keepingLast = (load: FrameLoader) => {
  const kept = new Map<string, { readonly frame: FramePlace; readonly plain: Promise<Uint8Array> }>()
  return (runs: readonly MergedRun[]): ReadonlyMap<FramePlace, Promise<Uint8Array>> => {
    const found = new Map<FramePlace, Promise<Uint8Array>>()
    const wanted = new Set<FramePlace>()
    for (const { frame } of runs) if (frame !== null) wanted.add(frame)
    for (const { frame, plain } of kept.values()) if (wanted.has(frame)) found.set(frame, plain)
    for (const [frame, plain] of load([...wanted].filter((frame) => !found.has(frame)))) found.set(frame, plain)
    for (const frame of wanted) {
      const attempt = attemptOf(frame)
      kept.delete(attempt)
      kept.set(attempt, { frame, plain: found.get(frame) as Promise<Uint8Array> })
    }
    for (const attempt of kept.keys()) if (kept.size > keptFramesMax) kept.delete(attempt)
    return found
  }
}

const attemptOf = ({ birth }: FramePlace): string =>
  `${birth.recoveryPointId}/${birth.disk}/${birth.slice}/${birth.attempt}`

async function* partsOf(batch: LoadedBatch): AsyncGenerator<DiskPart> {
  for (const { offsetBytes, lengthBytes, frame, framePosition } of batch.runs) {
    const plain = frame === null ? null : await batch.frames.get(frame)
    const bytes = plain?.subarray(framePosition, framePosition + lengthBytes) ?? null
    assert(frame === null || bytes?.length === lengthBytes, 'a run lies inside its frame')
    yield { offsetBytes, lengthBytes, bytes }
  }
}
