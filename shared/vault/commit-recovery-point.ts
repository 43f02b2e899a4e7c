import type { LayerReference, RecoveryPoint } from '../domain/recovery-point.ts'
import { digestHex } from '../format/digest.ts'
import { footerDigestOf, footerTailBytes } from '../format/index-footer.ts'
import { layerIdOf, layerName, recoveryPointName } from '../format/names.ts'
import { decodeSealedJson, encodeSealedJson } from '../format/sealed-json.ts'
import { formatVersion } from '../format/sectors.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { readExactly } from './objects.ts'
import { merkleRootOf } from './recovery-point-schema.ts'
import { type FoundRecoveryPoint, type RecoveryPointKey, readRevision } from './recovery-points.ts'
import { createRemembered, remembering } from './remembered-objects.ts'

/** What the caller knows of a recovery point; the rest follows from it. */
export type RecoveryPointDraft = Omit<RecoveryPoint, 'format' | 'revision' | 'merkleRoot'>

/** `committed` with the record that counts, whoever made it; `aborted`: the recovery point will never exist. */
export type Committed = ({ readonly kind: 'committed' } & FoundRecoveryPoint) | { readonly kind: 'aborted' }

/** Makes the recovery point visible, all disks at once: the only commit point. Key: (vmKey, recoveryPointId). Whoever comes second,
 * a repeated run or a twin, gets the record that is there; `aborted` where the recovery point was fenced off before.
 * @throws VaultError; `object-missing` where a layer that the stacks were built on is gone: then nothing is committed */
export const commitRecoveryPoint = async (
  deps: { readonly vault: BlobCreator },
  draft: RecoveryPointDraft,
  options: CallOptions = {},
): Promise<Committed> => {
  const name = recoveryPointName(draft.vmKey, draft.recoveryPointId, 1)
  try {
    await requireParents(deps.vault, draft, options)
  } catch (error) {
    const settled = await readCommitted(deps.vault, draft, options)
    if (settled !== null) return settled
    throw error
  }
  const record: RecoveryPoint = {
    format: formatVersion,
    ...draft,
    revision: 1,
    merkleRoot: merkleRootOf(draft.disks),
  }
  const bytes = encodeSealedJson(record)
  if ((await createRemembered(deps.vault, name, bytes, options)) === 'created')
    return { kind: 'committed', recoveryPoint: record, digest: digestHex(bytes) }
  const settled = await readCommitted(deps.vault, draft, options)
  if (settled === null) throw new VaultError({ code: 'object-missing', name })
  return settled
}

/** What the first revision settled, for good; null while there is none. */
export const readCommitted = async (
  vault: BlobReader,
  key: RecoveryPointKey,
  options: CallOptions = {},
): Promise<Committed | null> => {
  const found = await readRevision(remembering(vault, decodeSealedJson), key, 1, options)
  if (found === null) return null
  if (!('disks' in found.record)) return { kind: 'aborted' }
  return { kind: 'committed', recoveryPoint: found.record, digest: found.digest }
}

const parentsAtOnce = 16

/** The intent keeps a base's layers from the moment they were found there; this finds them there. */
const requireParents = async (vault: BlobReader, draft: RecoveryPointDraft, options: CallOptions): Promise<void> => {
  const parents = new Map<string, LayerReference>()
  for (const { disk, stack } of draft.disks)
    for (const layer of stack) if (layer.layerId !== layerIdOf({ ...draft, disk })) parents.set(layer.layerId, layer)
  const layers = [...parents.values()]
  for (let at = 0; at < layers.length; at += parentsAtOnce)
    await Promise.all(layers.slice(at, at + parentsAtOnce).map((layer) => requireLayer(vault, layer, options)))
}

/** One small read: the tail has the footer's digest, which is the layer's. */
const requireLayer = async (vault: BlobReader, layer: LayerReference, options: CallOptions): Promise<void> => {
  const name = layerName(layer.layerId)
  const place = layer.lengthBytes - footerTailBytes
  const tail = await readExactly(vault, name, { offsetBytes: place, lengthBytes: footerTailBytes }, options)
  const actual = footerDigestOf(tail, { name, place })
  if (actual !== layer.digest)
    throw new VaultError({ code: 'digest-mismatch', name, place, expected: layer.digest, actual })
}
