import type { LayerReference } from '../domain/recovery-point.ts'
import { hexOf } from '../format/digest.ts'
import type { FenceKey } from '../format/index-footer.ts'
import { nullIfUnreadable, VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { assembleLayer, type LayerPlan } from './assemble-layer.ts'
import { openLayer, readShard } from './layer-reader.ts'
import { recoverFold } from './rebuild-fold.ts'
import { findShards, type ShardLimits } from './rebuild-shards.ts'
import { madeAgain, type RecoveredLayer } from './recovered-layer.ts'
import { readSliceIndex } from './slice-index.ts'

/** Damaged shards of one layer that are held in memory. */
const shardsMax = 1024

/** Makes the index of a layer again: a transfer's from its slice indexes, a folded one from the layers that it stands for, as long as an older
 * revision names them; while the layer's own footer is whole, a transfer's also from the directories of its segments. Nothing is believed but
 * what has the digest that the commit record names.
 * @returns null where that cannot be done: then only another copy of the object helps */
export const recoverLayer = async (
  vault: BlobReader,
  of: { readonly vmKey: string; readonly layer: LayerReference },
  limits: ShardLimits,
  options: CallOptions,
): Promise<RecoveredLayer | null> =>
  (await fromFooter(vault, of.layer, limits, options).catch(nullIfUnreadable)) ??
  (await fromSlices(vault, of.layer, options).catch(nullIfUnreadable)) ??
  (await recoverFold(vault, of, options).catch(nullIfUnreadable))

/** @throws VaultError where the footer is missing or damaged */
const fromFooter = async (
  vault: BlobReader,
  reference: LayerReference,
  limits: ShardLimits,
  options: CallOptions,
): Promise<RecoveredLayer | null> => {
  const layer = await openLayer(vault, reference, options)
  const read = (fence: FenceKey): Promise<Uint8Array | null> =>
    readShard(vault, layer, fence, options).catch(nullIfUnreadable)
  const wanted = new Set<string>()
  for (let index = 0; index < layer.footer.shards; index += 1) {
    const fence = layer.footer.fence(index)
    if ((await read(fence)) === null) wanted.add(hexOf(fence.digest))
    if (wanted.size > shardsMax) return null
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

/** Seals the layer once more. */
const fromSlices = async (
  vault: BlobReader,
  reference: LayerReference,
  options: CallOptions,
): Promise<RecoveredLayer | null> => {
  const plan = await planOf(vault, reference, options)
  return plan === null ? null : madeAgain(reference, () => assembleLayer(vault, plan, options).pieces())
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
