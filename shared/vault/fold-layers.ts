import assert from 'node:assert/strict'
import type { LayerReference } from '../domain/recovery-point.ts'
import type { FramePlace } from '../format/frame.ts'
import { layerIdOf, layerName } from '../format/names.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { checkTwin, createLayer } from './create-layer.ts'
import { type FoldedIndex, foldedIndex } from './folded-index.ts'
import { type Layer, layerRuns, openLayer } from './layer-reader.ts'
import { type MergedRun, mergeLayers } from './merge-layers.ts'

/** Which layers of one disk become one, and under which name. */
export interface FoldRequest {
  /** The compaction's; it follows from what is folded. */
  readonly id: string
  readonly disk: string
  /** Neighbours in a stack, newest first; one alone where frames have moved. */
  readonly layers: readonly LayerReference[]
  /** The last of `layers` lies on nothing, so that zero runs need not be kept. */
  readonly isLowest: boolean
  /** Where a frame lies instead; null for most, which have not moved. */
  readonly movedTo?: (frame: FramePlace) => FramePlace | null
  /** Where bytes lie instead that were gathered into new frames; see shownBy. */
  readonly overlay?: Overlay
}

/** Runs in order of offset that show the same as the layers do, from other frames; each call begins anew. */
export type Overlay = () => AsyncIterable<readonly PlacedRun[]>

/** Makes one layer that shows what the given ones show together; no data is moved. Key: the compaction's id: the bytes follow from the
 * layers, so a second run finds what it would have made, and that is checked. Memory: a shard and a footer of each layer.
 * @throws VaultError where a layer is damaged; `twin-differs` where another layer lies under the name */
export const foldLayers = async (
  vault: BlobCreator,
  request: FoldRequest,
  options: CallOptions = {},
): Promise<LayerReference> => {
  const layers = await openLayers(vault, request.layers, options)
  const name = layerName(layerIdOf({ recoveryPointId: request.id, disk: request.disk }))
  const index = indexOfFold(vault, layers, request, options)
  const created = await createLayer(vault, name, index.pieces(), options)
  const folded = index.folded() ?? (await foldAside(indexOfFold(vault, layers, request, options)))
  if (created === 'exists') await checkTwin(vault, folded, options)
  return folded
}

/** One after another: a footer may have megabytes. */
export const openLayers = async (
  reader: BlobReader,
  references: readonly LayerReference[],
  options: CallOptions,
): Promise<readonly Layer[]> => {
  const layers: Layer[] = []
  for (const reference of references) layers.push(await openLayer(reader, reference, options))
  return layers
}

/** What the layers show together, over all of the disk, without holes in between.
 * @param overlay lies on top of them */
export const shownBy = (
  reader: BlobReader,
  layers: readonly Layer[],
  options: CallOptions,
  overlay?: Overlay,
): AsyncGenerator<MergedRun> => {
  const window = { offsetBytes: 0, lengthBytes: diskBytesOf(layers) }
  const runs = layers.map((layer) => layerRuns(reader, layer, window, options))
  return mergeLayers(overlay === undefined ? runs : [overlay(), ...runs], window)
}

/** What the fold of these layers is. */
export const indexOfFold = (
  vault: BlobReader,
  layers: readonly Layer[],
  request: FoldRequest,
  options: CallOptions,
): FoldedIndex => {
  const frameCapacityBytes = Math.max(...layers.map(({ footer }) => footer.frameCapacityBytes))
  const head = { id: request.id, disk: request.disk, diskBytes: diskBytesOf(layers), frameCapacityBytes }
  return foldedIndex(head, keptRuns(shownBy(vault, layers, options, request.overlay), request))
}

/** A disk only grows; a layer of a smaller disk just ends earlier. */
const diskBytesOf = (layers: readonly Layer[]): number => Math.max(...layers.map(({ footer }) => footer.diskBytes))

async function* keptRuns(runs: AsyncIterable<MergedRun>, request: FoldRequest): AsyncGenerator<PlacedRun> {
  for await (const run of runs) {
    if (run.layer === -1 || (run.frame === null && request.isLowest)) continue
    const moved = run.frame === null ? null : (request.movedTo?.(run.frame) ?? null)
    yield moved === null ? run : { ...run, frame: moved }
  }
}

/** What the layer would be, for a store that saw it exists and did not take all of it. */
const foldAside = async (index: FoldedIndex): Promise<LayerReference> => {
  for await (const piece of index.pieces()) assert(piece.length > 0)
  const folded = index.folded()
  assert(folded !== null)
  return folded
}
