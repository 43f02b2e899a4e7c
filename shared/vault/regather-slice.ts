import { createFrameCipher } from '../format/frame-cipher.ts'
import { encodeIndexFooter } from '../format/index-footer.ts'
import { attemptMarker, type SliceKey, sliceIndexName } from '../format/names.ts'
import type { BlobCreator, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { noTotals } from './assemble-layer.ts'
import { type GatheredFrame, runsPerFrameMax } from './frame-gatherer.ts'
import type { DataRun, GatheredRuns } from './gather-runs.ts'
import { createIndexBuilder } from './index-builder.ts'
import { takeNumber } from './numbers.ts'
import { currentKey, type RegatherKeys } from './regather-keys.ts'
import { createSegmentWriter, storedBytesMax } from './segment-writer.ts'
import { createSliceWriter } from './slice-writer.ts'
import { defaultTuning } from './transfer-tuning.ts'

/** Where new frames go, and under which key. */
export interface RegatherDeps {
  readonly vault: BlobCreator
  readonly control: ControlStore
  readonly keys: RegatherKeys
}

/** Runs whose bytes are written once more, as a slice of the compaction. */
export interface RegatheredSlice {
  readonly key: SliceKey
  /** In order of offset. */
  readonly runs: readonly DataRun[]
  /** What they show. */
  readonly shown: GatheredRuns
  readonly frameCapacityBytes: number
  readonly diskBytes: number
}

/** Writes the bytes of a slice as new frames and commits it, as a transfer does: under an attempt number of its own, so that no nonce is used
 * twice, and by creating the slice index, which the first of several runs does. Frames are encrypted where any of their bytes were, and
 * compressed where any were.
 * @throws VaultError `key-missing`; WrappingKeyError, KeyServiceError */
export const writeRegatheredSlice = async (
  deps: RegatherDeps,
  slice: RegatheredSlice,
  options: CallOptions,
): Promise<void> => {
  const { key, shown, frameCapacityBytes, diskBytes } = slice
  const dataKey = shown.sealedUnder === null ? null : await currentKey(deps.keys, shown.sealedUnder)
  const attempt = await takeNumber(deps.control, (number) => attemptMarker(key, number), key.recoveryPointId, options)
  const cipher = dataKey === null ? null : createFrameCipher(dataKey, { ...key, attempt })
  const compression = shown.isCompressed ? ('zstd' as const) : ('none' as const)
  const limits = { ...defaultTuning, segmentBytes: segmentBytesFor(slice), compression, options }
  const segments = createSegmentWriter(deps, { key, attempt, cipher }, limits)
  const writer = createSliceWriter(segments, createIndexBuilder(defaultTuning))
  try {
    for (const frame of framesOf(slice)) await writer.add(frame)
    const { shards, fences, dataBytes, frames, runs } = await writer.finish()
    const totals = { ...noTotals, dataBytes, frames, runs, segmentBytes: segments.segmentBytes }
    const head = { kind: 'slice' as const, ...key, attempt, frameCapacityBytes, diskBytes, ...totals }
    const footer = encodeIndexFooter({ ...head, segmentRanges: segments.ranges }, fences)
    await deps.vault.create(sliceIndexName(key), [...shards, footer], options)
  } finally {
    await writer.settle()
  }
}

/** No more than the slice can fill. */
const segmentBytesFor = ({ key, runs, shown, frameCapacityBytes }: RegatheredSlice): number => {
  const lengthBytes = shown.bytes.length
  const frames = Math.ceil(lengthBytes / frameCapacityBytes) + Math.ceil(runs.length / runsPerFrameMax)
  return Math.min(defaultTuning.segmentBytes, lengthBytes + (frames + 1) * storedBytesMax(key, 0) + (lengthBytes >>> 8))
}

/** Cuts the slice into frames that are full, or have as many runs as a frame may. */
function* framesOf({ runs, shown, frameCapacityBytes }: RegatheredSlice): Generator<GatheredFrame> {
  let taken: GatheredFrame['runs'][number][] = []
  let from = 0
  let to = 0
  const close = (): GatheredFrame => {
    const frame = { runs: taken, plain: shown.bytes.subarray(from, to), free: () => undefined }
    taken = []
    from = to
    return frame
  }
  for (const run of runs)
    for (let at = 0; at < run.lengthBytes; ) {
      const lengthBytes = Math.min(run.lengthBytes - at, frameCapacityBytes - (to - from))
      const offsetBytes = run.offsetBytes + at
      const last = taken.at(-1)
      if (last !== undefined && last.offsetBytes + last.lengthBytes === offsetBytes)
        taken[taken.length - 1] = { ...last, lengthBytes: last.lengthBytes + lengthBytes }
      else taken.push({ offsetBytes, lengthBytes, isZero: false })
      to += lengthBytes
      at += lengthBytes
      if (to - from === frameCapacityBytes || taken.length === runsPerFrameMax) yield close()
    }
  if (to > from) yield close()
}
