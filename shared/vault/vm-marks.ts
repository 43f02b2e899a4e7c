import * as v from 'valibot'
import { marksName } from '../format/names.ts'
import { encodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion } from '../format/sectors.ts'
import type { SegmentRange } from '../format/segment-ranges.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { readSealed } from './objects.ts'

/** What one VM's recovery points need, as it was read before: content of objects that never change under their names, so that nobody has to
 * read them again. Losing it costs reads. */
export interface VmMarks {
  /** By recovery point id. */
  readonly points: ReadonlyMap<string, PointMark>
  /** By layer id: what a point's mark names, and nothing else. */
  readonly layers: ReadonlyMap<string, LayerMark>
  /** Digest of all that compaction went by when it last found nothing to do; null before that. */
  readonly settled: string | null
}

/** The newest revision of a commit record. */
export interface PointMark {
  readonly revision: number
  /** Of the object that was read. */
  readonly etag: string
  readonly state: 'live' | 'expired' | 'aborted'
  /** Null for what is not live. */
  readonly takenAt: string | null
  readonly layerIds: readonly string[]
  readonly sidecarIds: readonly string[]
  /** Whether compaction has searched for sparse data since this revision is there. */
  readonly isSearched: boolean
}

/** What the footer of a layer says. */
export interface LayerMark {
  readonly lengthBytes: number
  readonly segments: readonly SegmentRange[]
}

/** Where nothing was read of the VM before, or what was noted is lost. */
export const noMarks: VmMarks = { points: new Map(), layers: new Map(), settled: null }

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const schema = v.object({
  format: v.literal(formatVersion),
  vmKey: v.string(),
  settled: v.nullable(v.string()),
  /** Layer id, length, and of each range of segments id, disk, slice, attempt, first and last n. */
  layers: v.array(v.tuple([v.string(), count, v.array(v.tuple([v.string(), v.string(), count, count, count, count]))])),
  /** Recovery point id, revision, ETag, state, time, numbers of layers in the list above, ids of sidecars, whether
   * sparse data was searched for since. */
  points: v.array(
    v.tuple([
      v.string(),
      count,
      v.string(),
      v.picklist(['live', 'expired', 'aborted']),
      v.nullable(v.string()),
      v.array(count),
      v.array(v.string()),
      v.boolean(),
    ]),
  ),
})

type StoredMarks = v.InferOutput<typeof schema>

/** As much as a store reads as a whole. A VM that has more is read anew each time. */
const lengthBytesMax = 64 * 1024 * 1024

/** None where there are none, or what there is cannot be read. */
export const readMarks = async (control: BlobReader, vmKey: string, options: CallOptions = {}): Promise<VmMarks> => {
  const parsed = v.safeParse(schema, await readTolerantly(control, marksName(vmKey), options))
  return parsed.success && parsed.output.vmKey === vmKey ? marksOf(parsed.output) : noMarks
}

/** Key: the VM; the last writer wins, as all of them tell the truth. */
export const writeMarks = async (
  control: ControlStore,
  vmKey: string,
  { points, layers, settled }: VmMarks,
  options: CallOptions = {},
): Promise<void> => {
  const numbers = new Map([...layers.keys()].map((layerId, number) => [layerId, number]))
  const record: StoredMarks = {
    format: formatVersion,
    vmKey,
    settled,
    layers: [...layers].map(([layerId, { lengthBytes, segments }]) => [
      layerId,
      lengthBytes,
      segments.map((range) => [
        range.recoveryPointId,
        range.disk,
        range.slice,
        range.attempt,
        range.firstN,
        range.lastN,
      ]),
    ]),
    points: [...points].map(
      ([recoveryPointId, { revision, etag, state, takenAt, layerIds, sidecarIds, isSearched }]) => [
        recoveryPointId,
        revision,
        etag,
        state,
        takenAt,
        layerIds.map((layerId) => numbers.get(layerId) ?? numbers.size),
        [...sidecarIds],
        isSearched,
      ],
    ),
  }
  const bytes = encodeSealedJson(record)
  if (bytes.length <= lengthBytesMax) await control.put(marksName(vmKey), bytes, options)
}

/** A point that names a layer which is not there is left out: it is read anew. */
const marksOf = ({ settled, layers, points }: StoredMarks): VmMarks => {
  const marks = new Map<string, PointMark>()
  for (const [recoveryPointId, revision, etag, state, takenAt, numbers, sidecarIds, isSearched] of points) {
    const layerIds = numbers.flatMap((number) => layers[number]?.[0] ?? [])
    if (layerIds.length === numbers.length)
      marks.set(recoveryPointId, { revision, etag, state, takenAt, layerIds, sidecarIds, isSearched })
  }
  const footers = layers.map(([layerId, lengthBytes, ranges]): [string, LayerMark] => [
    layerId,
    { lengthBytes, segments: ranges.map(rangeOf) },
  ])
  return { settled, points: marks, layers: new Map(footers) }
}

const rangeOf = ([recoveryPointId, disk, slice, attempt, firstN, lastN]: StoredMarks['layers'][number][2][number]) => ({
  recoveryPointId,
  disk,
  slice,
  attempt,
  firstN,
  lastN,
})

const readTolerantly = async (control: BlobReader, name: string, options: CallOptions): Promise<unknown> => {
  return readSealed(control, name, { ...options, lengthBytesMax }).catch(nullIfUnreadable)
}
