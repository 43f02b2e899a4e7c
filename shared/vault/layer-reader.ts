import type { Extent } from '../domain/extent.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import { type FenceKey, type IndexFooter, openIndexFooter } from '../format/index-footer.ts'
import { layerName } from '../format/names.ts'
import { isInRanges } from '../format/segment-ranges.ts'
import { openShard, type Shard } from '../format/shard.ts'
import type { PlacedRun } from '../format/shard-builder.ts'
import { VaultError } from '../format/vault-error.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { readExactly, readFooter } from './objects.ts'
import { checkKey } from './slice-index.ts'

/** A layer whose footer is in memory and proven. */
export interface Layer {
  readonly name: string
  readonly footer: IndexFooter
}

/** Reads and proves the footer. @throws VaultError */
export const openLayer = async (
  reader: ObjectReader,
  reference: LayerReference,
  options: CallOptions,
): Promise<Layer> => {
  const name = layerName(reference.layerId)
  const footer = await readFooter(reader, name, reference, openIndexFooter, options)
  const [recoveryPointId = '', disk = ''] = reference.layerId.split('/')
  checkKey(footer, { recoveryPointId, disk }, name, 'layer')
  return { name, footer }
}

/** The runs of the layer that touch the window, in order of offset, not clipped. Reads only the shards they are in, the next one or
 * two ahead of time. @throws VaultError */
export async function* layerRuns(
  reader: ObjectReader,
  layer: Layer,
  window: Extent,
  options: CallOptions,
): AsyncGenerator<PlacedRun[]> {
  const windowEnd = window.offsetBytes + window.lengthBytes
  const load = (index: number): Promise<Uint8Array> | null => {
    if (index >= layer.footer.shards || layer.footer.fence(index).firstBytes >= windowEnd) return null
    const bytes = readShard(reader, layer, layer.footer.fence(index), options)
    bytes.catch(() => undefined)
    return bytes
  }
  let index = firstShardFrom(layer.footer, window.offsetBytes)
  let next = load(index)
  while (next !== null) {
    const fence = layer.footer.fence(index)
    const bytes = await next
    index += 1
    next = load(index)
    yield* batchesOf(bytes, fence, layer, window)
  }
}

/** Runs handed over at once: enough to make the hand-over cheap, few enough to hold one batch for each of many layers. */
const runsPerBatch = 512

function* batchesOf(bytes: Uint8Array, fence: FenceKey, layer: Layer, window: Extent): Generator<PlacedRun[]> {
  const cursor = openLayerShard(bytes, fence, layer).runsIn(window)
  for (let batch = cursor.take(runsPerBatch); batch.length > 0; batch = cursor.take(runsPerBatch)) yield batch
}

/** A shard whose bytes are proven, checked: it is what its fence key and its layer's footer say. @throws VaultError `malformed` */
export const openLayerShard = (bytes: Uint8Array, fence: FenceKey, { name, footer }: Layer): Shard => {
  const place = fence.placeBytes
  const shard = openShard(bytes, { name, place }, footer.frameCapacityBytes)
  const { firstBytes, endBytes, frames } = shard
  if (firstBytes !== fence.firstBytes || endBytes !== fence.endBytes || frames !== fence.frames)
    throw new VaultError({ code: 'malformed', name, place, detail: 'the shard is not what its fence key says' })
  const other = shard.segments.find((segment) => !isInRanges(footer.segmentRanges, segment))
  if (other === undefined) return shard
  throw new VaultError({ code: 'malformed', name, place, detail: `the footer names no segment ${other}` })
}

/** The bytes of one shard, proven by its fence key. @throws VaultError */
export const readShard = async (
  reader: ObjectReader,
  layer: Layer,
  fence: FenceKey,
  options: CallOptions,
): Promise<Uint8Array> => {
  const range = { offsetBytes: fence.placeBytes, lengthBytes: fence.lengthBytes }
  const bytes = await readExactly(reader, layer.name, range, options)
  const actual = hexOf(digestBytes(bytes))
  const expected = hexOf(fence.digest)
  if (actual !== expected)
    throw new VaultError({ code: 'digest-mismatch', name: layer.name, place: fence.placeBytes, expected, actual })
  return bytes
}

/** The first shard that ends behind the offset; the number of shards where none does. */
export const firstShardFrom = (footer: IndexFooter, offsetBytes: number): number => {
  let low = 0
  let high = footer.shards
  while (low < high) {
    const middle = (low + high) >>> 1
    if (footer.fence(middle).endBytes > offsetBytes) high = middle
    else low = middle + 1
  }
  return low
}
