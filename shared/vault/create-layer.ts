import assert from 'node:assert/strict'
import type { LayerReference } from '../domain/recovery-point.ts'
import { digestBytes, hexOf } from '../format/digest.ts'
import { footerTailBytes } from '../format/index-footer.ts'
import { layerName } from '../format/names.ts'
import { releaseMemory } from '../format/release-memory.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, BlobReader, CallOptions } from '../ports/blob-store.ts'
import { readExactly } from './objects.ts'

/** Creates a layer's object from its pieces: in one call up to the size of a part, staged in parts if it is larger.
 * @param pieces shards, then the footer; a store that sees the object exists may not take all of them */
export const createLayer = async (
  vault: BlobCreator,
  name: string,
  pieces: AsyncIterable<Uint8Array>,
  options: CallOptions,
  partBytes = partBytesDefault,
): Promise<'created' | 'exists'> => {
  const parts = inParts(pieces, partBytes)
  const first = await parts.next()
  assert(!first.done, 'a layer has a footer at least')
  const second = await parts.next()
  if (second.done) return vault.create(name, [first.value], options)
  async function* all(head: Uint8Array[]): AsyncGenerator<Uint8Array> {
    for (let part = head.shift(); part !== undefined; part = head.shift() ?? (await parts.next()).value) {
      yield part
      releaseMemory(part)
    }
  }
  return vault.createFromStream(name, all([first.value, second.value]), options)
}

/** That the object under the layer's name is this layer: the footer proves everything before it, so equal footers are equal layers.
 * @throws VaultError `twin-differs` */
export const checkTwin = async (vault: BlobReader, layer: LayerReference, options: CallOptions): Promise<void> => {
  const name = layerName(layer.layerId)
  const range = { offsetBytes: layer.lengthBytes - layer.footerBytes, lengthBytes: layer.footerBytes }
  const footer = await readExactly(vault, name, range, options)
  const digest = hexOf(digestBytes(footer.subarray(0, footer.length - footerTailBytes)))
  if (digest !== layer.digest) throw new VaultError({ code: 'twin-differs', name })
}

/** One call for a layer up to about this size; parts up to it for a larger one (a blob takes 50,000 of them). */
const partBytesDefault = 8 * 1024 * 1024

/** Pieces are copied, so that their memory is free again when the next one is asked for. */
async function* inParts(pieces: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Uint8Array, undefined> {
  let part: Buffer = Buffer.alloc(0)
  let lengthBytes = 0
  for await (const piece of pieces) {
    if (lengthBytes > 0 && lengthBytes + piece.length > partBytes) {
      yield part.subarray(0, lengthBytes)
      part = Buffer.alloc(0)
      lengthBytes = 0
    }
    part = withRoom(part, lengthBytes + piece.length, partBytes)
    part.set(piece, lengthBytes)
    lengthBytes += piece.length
  }
  if (lengthBytes > 0) yield part.subarray(0, lengthBytes)
  return undefined
}

/** Most layers are far smaller than a part. */
const growth = 4

const withRoom = (part: Buffer, neededBytes: number, partBytes: number): Buffer => {
  if (neededBytes <= part.length) return part
  const larger = Buffer.allocUnsafeSlow(Math.max(neededBytes, Math.min(partBytes, neededBytes * growth)))
  part.copy(larger)
  releaseMemory(part)
  return larger
}
