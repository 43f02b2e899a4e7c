import type { KeyRing } from '../format/data-key.ts'
import { createPageHasher } from '../format/page-hash.ts'
import { pageBytes } from '../format/sectors.ts'
import { groupDiskBytes, type SidecarGroup } from '../format/sidecar.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import type { PageComparer } from './compare-pages.ts'
import { readSidecarGroup, type Sidecar } from './sidecar-reader.ts'

interface Group {
  readonly number: number
  readonly hashes: Promise<SidecarGroup | null>
}

/** Compares with the pages of a layer by their hashes alone; the layer's data is not read. Memory: two groups of hashes.
 * @throws VaultError `key-missing` or `key-locked` where the hashes are keyed and the key is not at hand */
export const createSidecarComparer = (
  deps: { readonly vault: ObjectReader; readonly keys: KeyRing },
  sidecar: Sidecar,
  options: CallOptions,
): PageComparer => {
  const { keyId } = sidecar.footer
  const hashOf = createPageHasher(keyId === null ? null : deps.keys.find(keyId))
  const load = (number: number): Group => {
    const entry = sidecar.footer.find(number)
    const hashes = entry === null ? Promise.resolve(null) : readSidecarGroup(deps.vault, sidecar.name, entry, options)
    hashes.catch(() => undefined)
    return { number, hashes }
  }
  let group: Group | null = null
  let ahead: Group | null = null
  let opened: { readonly number: number; readonly hashes: SidecarGroup | null } | null = null
  const open = async (number: number): Promise<SidecarGroup | null> => {
    group = ahead?.number === number ? ahead : load(number)
    ahead = load(number + 1)
    opened = { number, hashes: await group.hashes }
    return opened.hashes
  }
  const isSame = (hashes: SidecarGroup | null, bytes: Buffer, offsetBytes: number): boolean => {
    const stored = hashes?.hashOf((offsetBytes % groupDiskBytes) / pageBytes) ?? null
    return stored !== null && Buffer.compare(hashOf(bytes), stored) === 0
  }
  return {
    isHeld: (bytes, offsetBytes) => {
      if (bytes.length < pageBytes) return false
      const number = Math.floor(offsetBytes / groupDiskBytes)
      if (opened?.number === number) return isSame(opened.hashes, bytes, offsetBytes)
      return open(number).then((hashes) => isSame(hashes, bytes, offsetBytes))
    },
    close: async () => {
      await Promise.allSettled([group?.hashes, ahead?.hashes])
    },
  }
}
