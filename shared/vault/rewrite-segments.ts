import assert from 'node:assert/strict'
import type { LayerReference } from '../domain/recovery-point.ts'
import { type FramePlace, proveFrame } from '../format/frame.ts'
import { type SliceKey, segmentName } from '../format/names.ts'
import { encodeSegmentTrailer } from '../format/segment.ts'
import { createShardBuilder, type PlacedRun } from '../format/shard-builder.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { openLayers, shownBy } from './fold-layers.ts'
import { placeOf } from './frame-usage.ts'
import { readExactly } from './objects.ts'
import { defaultTuning } from './transfer-tuning.ts'

/** Where frames lie after they were moved, by where they lay. */
export interface MovedFrames {
  find(frame: FramePlace): FramePlace | null
}

/** Which frames of one disk move to segments of the compaction, unchanged. */
export interface RewriteRequest {
  /** The compaction's, below which the new segments are named. */
  readonly id: string
  readonly disk: string
  /** Frames that this layer names are moved. */
  readonly layer: LayerReference
  /** Names of the segments to be emptied. */
  readonly segments: ReadonlySet<string>
  /** Where other layers' rewrites have moved frames already: those stay there. */
  readonly before: MovedFrames
  /** Frames of one new segment. */
  readonly segmentBytes?: number
}

/** Before the first rewrite. */
export const nothingMoved: MovedFrames = { find: () => null }

/** Copies whole frames, header and payload unchanged, out of sparse segments into full ones. Each frame is proven when it is read, each new
 * segment read back and compared. Key: the compaction's id: names and bytes follow from the layer and the segments' names, so a second run
 * finds its own. Memory: two segments, and about 100 bytes for each run of the moved frames.
 * @throws VaultError where a frame is damaged: nothing refers to what was copied before */
export const rewriteSegments = async (
  vault: BlobCreator,
  request: RewriteRequest,
  options: CallOptions = {},
): Promise<MovedFrames & { readonly rewrittenBytes: number }> => {
  const { moved, segments } = await planMoves(vault, request, options)
  const key: SliceKey = { recoveryPointId: request.id, disk: request.disk, slice: 0 }
  let rewrittenBytes = 0
  for (const [n, segment] of segments.entries()) {
    const bytes = await copySegment(vault, segment, { n, isLast: n === segments.length - 1 }, options)
    await createProven(vault, segmentName(key, 1, n), bytes, options)
    rewrittenBytes += segment.framesBytes
  }
  return { find: (frame) => moved.get(placeOf(frame)) ?? request.before.find(frame), rewrittenBytes }
}

interface NewSegment {
  readonly frames: { readonly from: FramePlace; readonly to: FramePlace }[]
  /** In order of offset; what the layer shows of these frames. */
  readonly runs: PlacedRun[]
  framesBytes: number
}

/** Bounds a directory: a shard lists 65,535 frames at most. */
const framesPerSegmentMax = 16_384

/** Gives each frame its new place, in the order in which the layer names them first. */
const planMoves = async (reader: BlobReader, request: RewriteRequest, options: CallOptions) => {
  const { id, disk, segmentBytes = defaultTuning.segmentBytes } = request
  const moved = new Map<string, FramePlace>()
  const segments: NewSegment[] = []
  const owners = new Map<string, NewSegment>()
  const place = (from: FramePlace): FramePlace => {
    let last = segments.at(-1)
    const isFull = last !== undefined && last.framesBytes > 0 && last.framesBytes + from.storedBytes > segmentBytes
    if (last === undefined || isFull || last.frames.length >= framesPerSegmentMax) {
      last = { frames: [], runs: [], framesBytes: 0 }
      segments.push(last)
    }
    const segment = segmentName({ recoveryPointId: id, disk, slice: 0 }, 1, segments.length - 1)
    const to = { ...from, segment, placeBytes: last.framesBytes, digest: Buffer.from(from.digest) }
    last.frames.push({ from: { ...from, digest: to.digest }, to })
    last.framesBytes += from.storedBytes
    moved.set(placeOf(from), to)
    owners.set(placeOf(from), last)
    return to
  }
  for await (const run of shownBy(reader, await openLayers(reader, [request.layer], options), options)) {
    const { frame, offsetBytes, lengthBytes, framePosition } = run
    if (frame === null || !request.segments.has(frame.segment) || request.before.find(frame) !== null) continue
    const to = moved.get(placeOf(frame)) ?? place(frame)
    owners.get(placeOf(frame))?.runs.push({ offsetBytes, lengthBytes, frame: to, framePosition })
  }
  return { moved, segments }
}

const copySegment = async (
  reader: BlobReader,
  segment: NewSegment,
  as: { readonly n: number; readonly isLast: boolean },
  options: CallOptions,
): Promise<Buffer> => {
  const directory = createShardBuilder()
  for (const run of segment.runs) directory.addPlaced(run)
  const shard = directory.finish()
  assert(shard !== null, 'a segment is made for a frame that a run names')
  const { framesBytes } = segment
  const trailer = encodeSegmentTrailer(shard.bytes, { ...as, frames: shard.frames, framesBytes })
  const bytes = Buffer.allocUnsafeSlow(framesBytes + shard.bytes.length + trailer.length)
  for (let at = 0; at < segment.frames.length; at += readsInFlightMax)
    await Promise.all(
      segment.frames.slice(at, at + readsInFlightMax).map(async ({ from, to }) => {
        const range = { offsetBytes: from.placeBytes, lengthBytes: from.storedBytes }
        const stored = await readExactly(reader, from.segment, range, options)
        proveFrame(stored, from)
        bytes.set(stored, to.placeBytes)
      }),
    )
  bytes.set(shard.bytes, framesBytes)
  bytes.set(trailer, framesBytes + shard.bytes.length)
  return bytes
}

const readsInFlightMax = 8

/** Whoever created it: the object under the name has these bytes. */
const createProven = async (vault: BlobCreator, name: string, bytes: Buffer, options: CallOptions): Promise<void> => {
  await vault.create(name, [bytes], options)
  const stored = await vault.read(name, { ...options, lengthBytesMax: bytes.length })
  if (stored === null) throw new VaultError({ code: 'object-missing', name })
  if (!bytes.equals(stored.bytes)) throw new VaultError({ code: 'twin-differs', name })
}
