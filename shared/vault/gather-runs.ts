import assert from 'node:assert/strict'
import type { KeyRing } from '../format/data-key.ts'
import { decodeFrameHeader, type FramePlace, openFrame } from '../format/frame.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { createFrameLoader } from './frame-loader.ts'
import { placeOf } from './frame-usage.ts'

/** A run of data. */
export interface DataRun extends PlacedRun {
  readonly frame: FramePlace
}

/** A frame that runs show, opened. `plain` is good until the visit returns. */
export interface OpenedFrame {
  readonly plain: Uint8Array
  /** What shows of it. */
  readonly runs: readonly DataRun[]
  /** The data key that it is encrypted under; null where it is not. */
  readonly keyId: string | null
  readonly isCompressed: boolean
}

/** The bytes that runs show, one after another, and how they are stored. */
export interface GatheredRuns {
  readonly bytes: Buffer
  /** A data key that some of it is encrypted under; null where nothing is. */
  readonly sealedUnder: string | null
  /** Any of it is compressed. */
  readonly isCompressed: boolean
}

/** Frames that are fetched together; those that are neighbours come in one read. */
const framesInFlightMax = 16

/** Reads what the runs show, every byte proven. Memory: what is gathered, and 16 stored frames.
 * @param runs in the order wanted
 * @throws VaultError */
export const gatherRuns = async (
  reader: BlobReader,
  runs: readonly DataRun[],
  keys: KeyRing,
  options: CallOptions,
): Promise<GatheredRuns> => {
  const places = new Map<DataRun, number>()
  let lengthBytes = 0
  for (const run of runs) {
    places.set(run, lengthBytes)
    lengthBytes += run.lengthBytes
  }
  const bytes = Buffer.allocUnsafeSlow(lengthBytes)
  let sealedUnder: string | null = null
  let isCompressed = false
  await visitFrames(
    reader,
    runs,
    keys,
    (frame) => {
      sealedUnder ??= frame.keyId
      isCompressed ||= frame.isCompressed
      for (const run of frame.runs) bytes.set(shownOf(frame.plain, run), places.get(run))
    },
    options,
  )
  return { bytes, sealedUnder, isCompressed }
}

/** Opens each frame that the runs show once, in order of place, every byte proven. @throws VaultError */
export const visitFrames = async (
  reader: BlobReader,
  runs: readonly DataRun[],
  keys: KeyRing,
  visit: (frame: OpenedFrame) => void,
  options: CallOptions,
): Promise<void> => {
  const load = createFrameLoader(reader, options)
  const wanted = byFrame(runs)
  for (let at = 0; at < wanted.length; at += framesInFlightMax) {
    const batch = wanted.slice(at, at + framesInFlightMax)
    const loaded = load(batch.map(({ frame }) => frame))
    await Promise.allSettled(loaded.values())
    for (const { frame, runs } of batch) {
      const stored = await loaded.get(frame)
      assert(stored !== undefined)
      const plain = openFrame(stored.bytes, frame, keys)
      const header = decodeFrameHeader(stored.bytes, { name: frame.segment, place: frame.placeBytes })
      visit({ plain, runs, keyId: header.sealed?.keyId ?? null, isCompressed: header.compression === 'zstd' })
      stored.done()
    }
  }
}

/** The bytes of a run in those of its frame. */
export const shownOf = (plain: Uint8Array, { framePosition, lengthBytes }: DataRun): Uint8Array =>
  plain.subarray(framePosition, framePosition + lengthBytes)

/** In order of place. */
const byFrame = (runs: readonly DataRun[]): readonly { readonly frame: FramePlace; readonly runs: DataRun[] }[] => {
  const frames = new Map<string, { readonly frame: FramePlace; readonly runs: DataRun[] }>()
  for (const run of runs) {
    const wanted = frames.get(placeOf(run.frame)) ?? { frame: run.frame, runs: [] }
    frames.set(placeOf(run.frame), wanted)
    wanted.runs.push(run)
  }
  return [...frames.values()].sort(({ frame: a }, { frame: b }) =>
    a.segment === b.segment ? a.placeBytes - b.placeBytes : a.segment < b.segment ? -1 : 1,
  )
}
