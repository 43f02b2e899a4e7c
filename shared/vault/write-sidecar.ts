import type { LayerReference, SidecarReference } from '../domain/recovery-point.ts'
import type { DataKey, KeyRing } from '../format/data-key.ts'
import { digestBytes } from '../format/digest.ts'
import { type DiskKey, sidecarName } from '../format/names.ts'
import { createPageHasher, type PageHasher } from '../format/page-hash.ts'
import { pageBytes } from '../format/sectors.ts'
import { encodeSidecarFooter, encodeSidecarGroup, pagesPerGroup, type SidecarGroupEntry } from '../format/sidecar.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, CallOptions } from '../ports/blob-store.ts'
import { createLayer } from './create-layer.ts'
import { findSidecar } from './sidecar-reader.ts'
import { type DiskPart, type OpenStack, openStack, readStack } from './stack.ts'

export interface WriteSidecarRequest extends DiskKey {
  /** The layer whose pages are hashed: one that stands alone, just made. */
  readonly layer: LayerReference
  /** Size of the layer's disk. */
  readonly sizeBytes: number
  /** Keys the hashes where the layer's frames are encrypted; else null. */
  readonly key: DataKey | null
}

/** Larger layers get no sidecar: reading one back takes a minute for each 8 GiB or so, and images are smaller. */
const layerDataBytesMax = 64 * 1024 ** 3

/** Hashes the pages of a layer, read back from the vault and proven, for the disks that were made from the same image. Key:
 * (recoveryPointId, disk): the bytes follow from the layer and the key, so a second run finds its twin. Memory: that of one `readStack`.
 * @returns null where the layer is too large, or has no whole page of data
 * @throws VaultError where the layer is damaged, or another sidecar lies under the name */
export const writeSidecar = async (
  deps: { readonly vault: BlobCreator; readonly keys: KeyRing },
  request: WriteSidecarRequest,
  options: CallOptions = {},
): Promise<SidecarReference | null> => {
  const { layer, sizeBytes, key } = request
  const stack = await openStack(deps.vault, { stack: [layer], sizeBytes }, { ...options, keys: deps.keys })
  const dataBytes = stack.layers[0]?.footer.dataBytes ?? 0
  if (dataBytes < pageBytes || dataBytes > layerDataBytesMax) return null
  const of = { keyId: key?.keyId ?? null, layerDigest: layer.digest }
  if ((await findSidecar(deps.vault, request, options)) === null)
    await createLayer(
      deps.vault,
      sidecarName(request),
      sidecarPieces(stack, of, createPageHasher(key), options),
      options,
    )
  const made = await findSidecar(deps.vault, request, options)
  if (made === null) throw new VaultError({ code: 'object-missing', name: sidecarName(request) })
  if (made.footer.layerDigest !== of.layerDigest || made.footer.keyId !== of.keyId)
    throw new VaultError({ code: 'twin-differs', name: sidecarName(request) })
  return made.reference
}

async function* sidecarPieces(
  stack: OpenStack,
  of: { readonly keyId: string | null; readonly layerDigest: string },
  hashOf: PageHasher,
  options: CallOptions,
): AsyncGenerator<Uint8Array> {
  const entries: Omit<SidecarGroupEntry, 'placeBytes'>[] = []
  const window = { offsetBytes: 0, lengthBytes: stack.sizeBytes }
  for await (const { number, bytes } of hashGroups(readStack(stack, window, options), hashOf)) {
    entries.push({ number, lengthBytes: bytes.length, digest: digestBytes(bytes) })
    yield bytes
  }
  yield encodeSidecarFooter(of, entries)
}

interface HashedGroup {
  readonly number: number
  readonly bytes: Buffer
}

async function* hashGroups(parts: AsyncIterable<DiskPart>, hashOf: PageHasher): AsyncGenerator<HashedGroup> {
  const hashes = createGroupHasher(hashOf)
  const pieced = Buffer.alloc(pageBytes)
  let piecedEnd = -1
  for await (const { offsetBytes, lengthBytes, bytes } of parts) {
    if (bytes === null) continue
    for (let at = 0; at < lengthBytes; ) {
      const offset = offsetBytes + at
      const within = offset % pageBytes
      const count = Math.min(lengthBytes - at, pageBytes - within)
      const piece = bytes.subarray(at, at + count)
      at += count
      if (count < pageBytes) {
        if (within !== 0 && piecedEnd !== offset) continue
        pieced.set(piece, within)
        piecedEnd = offset + count
        if (within + count < pageBytes) continue
      }
      const complete = hashes.add((offset - within) / pageBytes, count === pageBytes ? piece : pieced)
      if (complete !== null) yield complete
    }
  }
  const last = hashes.finish()
  if (last !== null) yield last
}

/** Gathers the hashes of pages that are data from their first byte to their last, given in order. */
const createGroupHasher = (hashOf: PageHasher) => {
  let group = { number: -1, pages: [] as number[], hashes: [] as Uint8Array[] }
  const finish = (): HashedGroup | null =>
    group.pages.length === 0 ? null : { number: group.number, bytes: encodeSidecarGroup(group) }
  return {
    /** Returns the group before, where the page begins another one. */
    add: (page: number, bytes: Uint8Array): HashedGroup | null => {
      const number = Math.floor(page / pagesPerGroup)
      const complete = number === group.number ? null : finish()
      if (number !== group.number) group = { number, pages: [], hashes: [] }
      group.pages.push(page % pagesPerGroup)
      group.hashes.push(hashOf(bytes))
      return complete
    },
    finish,
  }
}
