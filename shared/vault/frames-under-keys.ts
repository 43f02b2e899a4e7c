import type { LayerReference } from '../domain/recovery-point.ts'
import { decodeFrameHeader, type FramePlace, frameHeaderBytesOf } from '../format/frame.ts'
import { VaultError } from '../format/vault-error.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { compactionIdPrefix } from './compaction-intents.ts'
import { layerRuns, openLayer } from './layer-reader.ts'
import { readExactly } from './objects.ts'

/** Places of frames by their segment. */
export type FramesBySegment = ReadonlyMap<string, ReadonlySet<number>>

/** The frames of the layers that are encrypted under one of the data keys. An index does not tell a frame's key, its header does. All frames of one
 * attempt of a transfer have one key, so one header of each is read; a compaction's may lie under several, so that each of its headers is. Layers and
 * headers that are damaged themselves do not tell.
 * @returns by data key */
export const framesUnder = async (
  reader: ObjectReader,
  layers: Iterable<LayerReference>,
  keyIds: ReadonlySet<string>,
  options: CallOptions,
): Promise<ReadonlyMap<string, FramesBySegment>> => {
  const found = new Map<string, Map<string, Set<number>>>()
  const known = new Map<string, string | null>()
  const keyOf = async (frame: FramePlace): Promise<string | null> => {
    const { recoveryPointId, disk, slice, attempt } = frame.birth
    const isOfTransfer = !recoveryPointId.startsWith(compactionIdPrefix)
    const from = isOfTransfer
      ? `${recoveryPointId}/${disk}/${slice}/${attempt}`
      : `${frame.segment} ${frame.placeBytes}`
    const keyId = known.has(from) ? known.get(from) : await readKeyId(reader, frame, options)
    if (keyId !== undefined) known.set(from, keyId)
    return keyId ?? null
  }
  for (const layer of layers)
    for await (const frame of framesOf(reader, layer, options)) {
      const keyId = await keyOf(frame)
      if (keyId === null || !keyIds.has(keyId)) continue
      const segments = found.get(keyId) ?? new Map<string, Set<number>>()
      const places = segments.get(frame.segment) ?? new Set<number>()
      found.set(keyId, segments.set(frame.segment, places.add(frame.placeBytes)))
    }
  return found
}

async function* framesOf(
  reader: ObjectReader,
  reference: LayerReference,
  options: CallOptions,
): AsyncGenerator<FramePlace> {
  try {
    const layer = await openLayer(reader, reference, options)
    const window = { offsetBytes: 0, lengthBytes: layer.footer.diskBytes }
    let last: FramePlace | null = null
    for await (const batch of layerRuns(reader, layer, window, options))
      for (const { frame } of batch) {
        if (frame !== null && frame !== last) yield frame
        last = frame
      }
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
  }
}

/** Null for a frame that is not encrypted; nothing where its header cannot be read. */
const readKeyId = async (
  reader: ObjectReader,
  { segment, placeBytes, birth }: FramePlace,
  options: CallOptions,
): Promise<string | null | undefined> => {
  const range = { offsetBytes: placeBytes, lengthBytes: frameHeaderBytesOf(birth) }
  try {
    const bytes = await readExactly(reader, segment, range, options)
    return decodeFrameHeader(bytes, { name: segment, place: placeBytes }).sealed?.keyId ?? null
  } catch (error) {
    if (error instanceof VaultError) return undefined
    throw error
  }
}
