import type { LayerReference, SidecarReference } from '../domain/recovery-point.ts'
import { digestBytes } from '../format/digest.ts'
import { type DiskKey, pageHashesName, sidecarName } from '../format/names.ts'
import { releaseMemory } from '../format/release-memory.ts'
import {
  encodeSidecarFooter,
  encodeSidecarGroup,
  openSidecarGroup,
  pagesPerGroup,
  type SidecarGroup,
  type SidecarGroupEntry,
} from '../format/sidecar.ts'
import { nullIfUnreadable, VaultError } from '../format/vault-error.ts'
import type { BlobCreator, CallOptions, ObjectReader } from '../ports/blob-store.ts'
import type { SealedSlice } from './assemble-layer.ts'
import { createLayer } from './create-layer.ts'
import { findSidecar, openWholeSidecar } from './sidecar-reader.ts'

/** Which layer gets page hashes. Key: the disk of the recovery point, which names the sidecar. */
export interface WriteSidecarRequest extends DiskKey {
  /** The layer whose pages are hashed: one that stands alone, just made. */
  readonly layer: LayerReference
  /** What it was made of. */
  readonly slices: readonly SealedSlice[]
  /** The data key that the layer's frames are encrypted under, and the hashes keyed with; null where they are not. */
  readonly keyId: string | null
}

/** Joins the page hashes of a layer's slices, which were taken when these were stored, for the disks that were made from the same image. Key:
 * (recoveryPointId, disk): the bytes follow from the layer and the key, so a second run finds its twin. Memory: the hashes of one slice.
 * @returns null where the hashes of a slice were not taken, are lost or damaged: that costs space alone
 * @throws VaultError where another sidecar lies under the name */
export const writeSidecar = async (
  deps: { readonly vault: BlobCreator; readonly control: ObjectReader },
  request: WriteSidecarRequest,
  options: CallOptions = {},
): Promise<SidecarReference | null> => {
  const name = sidecarName(request)
  if ((await findSidecar(deps.vault, request, options)) === null) {
    const pieces = sidecarPieces(deps.control, request, options)
    const created = await createLayer(deps.vault, name, pieces, options).catch(nullIfUnreadable)
    if (created === null) return null
  }
  const made = await findSidecar(deps.vault, request, options)
  if (made === null) throw new VaultError({ code: 'object-missing', name })
  if (made.footer.layerDigest !== request.layer.digest || made.footer.keyId !== request.keyId)
    throw new VaultError({ code: 'twin-differs', name })
  return made.reference
}

async function* sidecarPieces(
  control: ObjectReader,
  request: WriteSidecarRequest,
  options: CallOptions,
): AsyncGenerator<Uint8Array> {
  const entries: Omit<SidecarGroupEntry, 'placeBytes'>[] = []
  for await (const { number, bytes } of joined(slicesGroups(control, request, options))) {
    entries.push({ number, lengthBytes: bytes.length, digest: digestBytes(bytes) })
    yield bytes
  }
  yield encodeSidecarFooter({ keyId: request.keyId, layerDigest: request.layer.digest }, entries)
}

/** Hashes of pages that belong to one group of the sidecar. */
interface HashedGroup {
  readonly number: number
  readonly bytes: Uint8Array
  readonly hashes: SidecarGroup
}

/** The groups of all slices, proven, one slice after another.
 * @throws VaultError where a slice's hashes are missing, damaged or those of another attempt */
async function* slicesGroups(
  control: ObjectReader,
  { recoveryPointId, disk, slices, keyId }: WriteSidecarRequest,
  options: CallOptions,
): AsyncGenerator<HashedGroup> {
  for (const [slice, { attempt, digest }] of slices.entries()) {
    const name = pageHashesName({ recoveryPointId, disk, slice }, attempt)
    const content = await control.read(name, options)
    if (content === null) throw new VaultError({ code: 'object-missing', name })
    const footer = openWholeSidecar(content.bytes, name)
    if (footer.layerDigest !== digest || footer.keyId !== keyId) throw new VaultError({ code: 'twin-differs', name })
    for (const entry of footer.groups()) {
      // Of its own memory: a group may be joined with one of the next slice.
      const bytes = Buffer.from(content.bytes.subarray(entry.placeBytes, entry.placeBytes + entry.lengthBytes))
      yield { number: entry.number, bytes, hashes: openSidecarGroup(bytes, entry, name) }
    }
    releaseMemory(content.bytes)
  }
}

/** Slices may share a group: their pages follow each other. */
async function* joined(groups: AsyncIterable<HashedGroup>): AsyncGenerator<Pick<HashedGroup, 'bytes' | 'number'>> {
  let number = -1
  let open: HashedGroup[] = []
  for await (const group of groups) {
    if (group.number !== number && open.length > 0) {
      yield { number, bytes: joinGroups(open) }
      open = []
    }
    number = group.number
    open.push(group)
  }
  if (open.length > 0) yield { number, bytes: joinGroups(open) }
}

const joinGroups = (parts: readonly HashedGroup[]): Uint8Array => {
  const [first] = parts
  if (first !== undefined && parts.length === 1) return first.bytes
  const pages: number[] = []
  const hashes: Uint8Array[] = []
  for (const part of parts)
    for (let page = 0; page < pagesPerGroup; page += 1) {
      const hash = part.hashes.hashOf(page)
      if (hash === null) continue
      pages.push(page)
      hashes.push(hash)
    }
  return encodeSidecarGroup({ pages, hashes: Buffer.concat(hashes) })
}
