import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import {
  encodeIndexFooter,
  type FenceKey,
  footerTailBytes,
  type IndexFooter,
  openIndexFooter,
} from '../format/index-footer.ts'
import { layerIdOf, layerName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { assembleLayer, type LayerPlan, noTotals } from './assemble-layer.ts'
import { checkTwin, createLayer } from './create-layer.ts'
import { openLayer, readShard } from './layer-reader.ts'
import { findShards, type ShardLimits } from './rebuild-shards.ts'
import { readSliceIndex } from './slice-index.ts'

/** A layer whose shards are at hand again, each proven by a fence key that the commit record's digest proves. */
export interface RecoveredLayer {
  readonly reference: LayerReference
  readonly footer: IndexFooter
  /** Bytes of the footer; null where it is in its place. */
  readonly lostFooter: Uint8Array | null
  /** In order. */
  shards(): AsyncGenerator<Uint8Array>
}

/** Damaged shards of one layer that are held in memory. */
const shardsMax = 1024

/** Makes the index of a transfer's layer again: from its slice indexes, or, while the layer's own footer is whole, also from the directories
 * of its segments. Nothing is believed but what has the digest that the commit record names.
 * @returns null where that cannot be done: then only another copy of the object helps */
export const recoverLayer = async (
  vault: BlobReader,
  reference: LayerReference,
  limits: ShardLimits,
  options: CallOptions,
): Promise<RecoveredLayer | null> => {
  try {
    return await fromFooter(vault, reference, limits, options)
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
    return fromSlices(vault, reference, options)
  }
}

/** @throws VaultError where the footer is missing or damaged */
const fromFooter = async (
  vault: BlobReader,
  reference: LayerReference,
  limits: ShardLimits,
  options: CallOptions,
): Promise<RecoveredLayer | null> => {
  const layer = await openLayer(vault, reference, options)
  const read = async (fence: FenceKey): Promise<Uint8Array | null> => {
    try {
      return await readShard(vault, layer, fence, options)
    } catch (error) {
      if (error instanceof VaultError) return null
      throw error
    }
  }
  const wanted = new Set<string>()
  for (let index = 0; index < layer.footer.shards; index += 1) {
    const fence = layer.footer.fence(index)
    if ((await read(fence)) === null) wanted.add(hexOf(fence.digest))
    if (wanted.size > shardsMax) return fromSlices(vault, reference, options)
  }
  const found = await findShards(vault, layer.footer, wanted, limits, options)
  if (found.size < wanted.size) return null
  async function* shards(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < layer.footer.shards; index += 1) {
      const fence = layer.footer.fence(index)
      const bytes = found.get(hexOf(fence.digest)) ?? (await read(fence))
      if (bytes === null) throw new VaultError({ code: 'short', name: layer.name, place: fence.placeBytes })
      yield bytes
    }
  }
  return { reference, footer: layer.footer, lostFooter: null, shards }
}

/** Seals the layer once more and sees whether it comes out the same. */
const fromSlices = async (
  vault: BlobReader,
  reference: LayerReference,
  options: CallOptions,
): Promise<RecoveredLayer | null> => {
  try {
    const plan = await planOf(vault, reference, options)
    if (plan === null) return null
    const assembly = assembleLayer(vault, plan, options)
    let footerBytes = new Uint8Array()
    for await (const piece of assembly.pieces()) footerBytes = Uint8Array.from(piece)
    const { layer } = assembly.assembled() ?? {}
    if (layer?.digest !== reference.digest || layer.lengthBytes !== reference.lengthBytes) return null
    const place = reference.lengthBytes - reference.footerBytes
    const footer = openIndexFooter(footerBytes, { name: layerName(reference.layerId), place }, reference.lengthBytes)
    async function* shards(): AsyncGenerator<Uint8Array> {
      let index = 0
      for await (const piece of assembleLayer(vault, plan as LayerPlan, options).pieces()) {
        if (index === footer.shards) return
        index += 1
        yield piece
      }
    }
    return { reference, footer, lostFooter: footerBytes, shards }
  } catch (error) {
    if (error instanceof VaultError) return null
    throw error
  }
}

/** As many slices as there are slice indexes: a layer is sealed of all of them. */
const planOf = async (
  vault: BlobReader,
  { layerId }: LayerReference,
  options: CallOptions,
): Promise<LayerPlan | null> => {
  const [recoveryPointId = '', disk = ''] = layerId.split('/')
  let slices = 0
  for await (const { name } of vault.list(`slices/${layerId}/`, options))
    if (parseVaultName(name).kind === 'slice') slices += 1
  const first = slices === 0 ? null : await readSliceIndex(vault, { recoveryPointId, disk, slice: 0 }, options)
  return first === null ? null : { recoveryPointId, disk, slices, sizeBytes: first.footer.diskBytes }
}

/** Creates the object again under its own name, byte for byte.
 * @returns false where another object lies there: it is never written over */
export const putBack = async (
  vault: BlobCreator,
  recovered: RecoveredLayer,
  options: CallOptions,
): Promise<boolean> => {
  const { reference, lostFooter } = recovered
  if (lostFooter === null) return false
  const name = layerName(reference.layerId)
  if ((await vault.readRange(name, 0, 1, options)) !== null) return false
  return (await createLayer(vault, name, behind(recovered, lostFooter), options)) === 'created'
}

/** Creates a layer of the same shards under another id, for stacks that are re-pointed to it. Key: the id.
 * @throws VaultError `twin-differs` where another layer lies under the name */
export const copyLayer = async (
  vault: BlobCreator,
  recovered: RecoveredLayer,
  id: string,
  options: CallOptions,
): Promise<LayerReference> => {
  const { footer: before, reference } = recovered
  const { disk, dataBytes, zeroBytes, frames, runs, diskBytes, frameCapacityBytes, segmentRanges } = before
  const head = {
    kind: 'layer' as const,
    recoveryPointId: id,
    disk,
    slice: 0,
    attempt: 0,
    diskBytes,
    frameCapacityBytes,
  }
  const fences = Array.from({ length: before.shards }, (_, index) => before.fence(index))
  const counted = { ...noTotals, dataBytes, zeroBytes, frames, runs }
  const footer = encodeIndexFooter({ ...head, ...counted, segmentRanges }, fences)
  const digest = hexOf(digestBytes(footer.subarray(0, footer.length - footerTailBytes)))
  const layerId = layerIdOf(head)
  const lengthBytes = reference.lengthBytes - reference.footerBytes + footer.length
  const copy = { layerId, lengthBytes, footerBytes: footer.length, digest }
  if ((await createLayer(vault, layerName(layerId), behind(recovered, footer), options)) === 'exists')
    await checkTwin(vault, copy, options)
  return copy
}

async function* behind(recovered: RecoveredLayer, footer: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* recovered.shards()
  yield footer
}
