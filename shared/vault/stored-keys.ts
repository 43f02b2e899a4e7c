import { dataKeyName, dataKeysPrefix } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobCreator, BlobReader } from '../ports/blob-store.ts'
import { encodeKeyRecord, type KeyRecord, parseKeyRecord } from './key-record.ts'

/** A record is some kilobytes. */
const recordBytesMax = 256 * 1024

/** A data key of the vault by its names: the highest revision counts. */
export interface StoredKey {
  readonly keyId: string
  readonly revision: number
}

/** The data keys of the vault, sorted by id.
 * @param keyId only this one */
export const listDataKeys = async (reader: BlobReader, keyId: string | null = null): Promise<readonly StoredKey[]> => {
  const newest = new Map<string, number>()
  for await (const { name } of reader.list(keyId === null ? dataKeysPrefix : `${dataKeysPrefix}${keyId}/`)) {
    const parsed = parseVaultName(name)
    if (parsed.kind === 'key') newest.set(parsed.keyId, Math.max(newest.get(parsed.keyId) ?? 0, parsed.revision))
  }
  return [...newest].map(([keyId, revision]) => ({ keyId, revision }))
}

/** @throws VaultError `key-missing` where there is no such object; others where it is damaged */
export const readKeyRecord = async (reader: BlobReader, { keyId, revision }: StoredKey): Promise<KeyRecord> => {
  const name = dataKeyName(keyId, revision)
  const content = await reader.read(name, { lengthBytesMax: recordBytesMax })
  if (content === null) throw new VaultError({ code: 'key-missing', name, keyId })
  return parseKeyRecord(content.bytes, { keyId, revision })
}

/** Key: id and revision; `exists` where another run made this revision before. */
export const createKeyRecord = (creator: BlobCreator, record: KeyRecord): Promise<'created' | 'exists'> =>
  creator.create(dataKeyName(record.keyId, record.revision), [encodeKeyRecord(record)])
