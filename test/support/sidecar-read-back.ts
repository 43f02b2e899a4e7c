import type { LayerReference, SidecarReference } from '../../shared/domain/recovery-point.ts'
import { type DataKey, keyRingOf } from '../../shared/format/data-key.ts'
import { digestBytes } from '../../shared/format/digest.ts'
import { type DiskKey, sidecarName } from '../../shared/format/names.ts'
import { createPageHasher } from '../../shared/format/page-hash.ts'
import { encodeSidecarFooter, encodeSidecarGroup, pagesPerGroup } from '../../shared/format/sidecar.ts'
import type { BlobCreator, ObjectReader } from '../../shared/ports/blob-store.ts'
import { findSidecar } from '../../shared/vault/sidecar-reader.ts'
import { openStack, readStack } from '../../shared/vault/stack.ts'

interface HashedLayer {
  readonly layer: LayerReference
  readonly sizeBytes: number
  /** Of the layer's frames and of the hashes. */
  readonly key: DataKey | null
}

const sector = 512
const page = 4096

/** The sidecar of a layer as it follows from what can be read of it, whoever made it: byte by byte what its writer has to come to. */
export const sidecarReadBack = async (vault: ObjectReader, { layer, sizeBytes, key }: HashedLayer): Promise<Buffer> => {
  const stack = await openStack(vault, { stack: [layer], sizeBytes }, { keys: keyRingOf(key === null ? [] : [key]) })
  const disk = Buffer.alloc(sizeBytes)
  const isData = new Uint8Array(sizeBytes / sector)
  for await (const { offsetBytes, lengthBytes, bytes } of readStack(stack, {
    offsetBytes: 0,
    lengthBytes: sizeBytes,
  })) {
    if (bytes === null) continue
    disk.set(bytes, offsetBytes)
    isData.fill(1, offsetBytes / sector, (offsetBytes + lengthBytes) / sector)
  }
  const hashOf = createPageHasher(key)
  const groups = new Map<number, { readonly pages: number[]; readonly hashes: Uint8Array[] }>()
  for (let number = 0; (number + 1) * page <= sizeBytes; number += 1) {
    const sectors = isData.subarray((number * page) / sector, ((number + 1) * page) / sector)
    if (!sectors.every((value) => value === 1)) continue
    const group = groups.get(Math.floor(number / pagesPerGroup)) ?? { pages: [], hashes: [] }
    groups.set(Math.floor(number / pagesPerGroup), group)
    group.pages.push(number % pagesPerGroup)
    group.hashes.push(Buffer.from(hashOf(disk.subarray(number * page, (number + 1) * page))))
  }
  const bodies = [...groups].map(([number, { pages, hashes }]) => ({
    number,
    bytes: encodeSidecarGroup({ pages, hashes: Buffer.concat(hashes) }),
  }))
  const entries = bodies.map(({ number, bytes }) => ({ number, lengthBytes: bytes.length, digest: digestBytes(bytes) }))
  const footer = encodeSidecarFooter({ keyId: key?.keyId ?? null, layerDigest: layer.digest }, entries)
  return Buffer.concat([...bodies.map(({ bytes }) => bytes), footer])
}

/** Gives a layer that is there a sidecar. */
export const addSidecar = async (vault: BlobCreator, of: DiskKey, layer: HashedLayer): Promise<SidecarReference> => {
  await vault.create(sidecarName(of), [await sidecarReadBack(vault, layer)])
  const made = await findSidecar(vault, of)
  if (made === null) throw new Error('the sidecar is not there')
  return made.reference
}
