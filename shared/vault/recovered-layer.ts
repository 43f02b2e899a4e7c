import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import { encodeIndexFooter, footerTailBytes, type IndexFooter, openIndexFooter } from '../format/index-footer.ts'
import { layerIdOf, layerName } from '../format/names.ts'
import type { BlobCreator, CallOptions } from '../ports/blob-store.ts'
import { noTotals } from './assemble-layer.ts'
import { checkTwin, createLayer } from './create-layer.ts'

/** A layer whose shards are at hand again, each proven by a fence key that the commit record's digest proves. */
export interface RecoveredLayer {
  readonly reference: LayerReference
  readonly footer: IndexFooter
  /** Bytes of the footer; null where it is in its place. */
  readonly lostFooter: Uint8Array | null
  /** In order. */
  shards(): AsyncGenerator<Uint8Array>
}

/** Makes the layer once more and sees whether it comes out the same.
 * @param pieces its shards, then its footer
 * @throws VaultError where what it is made of is missing or damaged */
export const madeAgain = async (
  reference: LayerReference,
  pieces: () => AsyncGenerator<Uint8Array>,
): Promise<RecoveredLayer | null> => {
  let footerBytes = new Uint8Array()
  let lengthBytes = 0
  for await (const piece of pieces()) {
    footerBytes = Uint8Array.from(piece)
    lengthBytes += piece.length
  }
  const digest = hexOf(digestBytes(footerBytes.subarray(0, Math.max(0, footerBytes.length - footerTailBytes))))
  if (digest !== reference.digest || lengthBytes !== reference.lengthBytes) return null
  const place = reference.lengthBytes - reference.footerBytes
  const footer = openIndexFooter(footerBytes, { name: layerName(reference.layerId), place }, lengthBytes)
  async function* shards(): AsyncGenerator<Uint8Array> {
    let index = 0
    for await (const piece of pieces()) {
      if (index === footer.shards) return
      index += 1
      yield piece
    }
  }
  return { reference, footer, lostFooter: footerBytes, shards }
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
