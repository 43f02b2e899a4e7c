import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import type { DataKey } from './data-key.ts'
import { writeDigest } from './digest.ts'
import { pageHashBytes } from './sidecar.ts'

/** The hash by which a clone tells that a page is the one it was made with (docs/format.md, section 8); good until the next one is asked for. */
export type PageHasher = (page: Uint8Array) => Uint8Array

const info = 'deltavault page hash v1\0'

/** @param key hashes of encrypted pages are keyed, so that they tell nothing to whoever lacks the key; null for plain ones */
export const createPageHasher = (key: DataKey | null): PageHasher => {
  const pageHash = Buffer.alloc(pageHashBytes)
  if (key === null)
    return (page) => {
      writeDigest(pageHash, page)
      return pageHash
    }
  const secret = createSecretKey(Buffer.from(hkdfSync('sha256', key.bytes, '', info, 32)))
  return (page) => createHmac('sha256', secret).update(page).digest().subarray(0, pageHashBytes)
}
