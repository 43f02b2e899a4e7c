import type { DataKey } from '../format/data-key.ts'
import { dataKeyName } from '../format/names.ts'
import { isDamage, nullIfUnreadable, VaultError } from '../format/vault-error.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import type { KeyWrappers } from '../ports/key-wrapper.ts'
import type { KeyRecord } from './key-record.ts'
import { listDataKeys, readKeyRecord, type StoredKey } from './stored-keys.ts'
import { unwrapDataKey } from './unwrap-data-key.ts'

/** Opens a data key of the vault, as the wrapping keys are at this moment.
 * @param stored its newest revision; null looks it up
 * @throws VaultError `key-missing`, `key-locked`, `wrong-key`, or what is wrong with its record; KeyServiceError where another try may help */
export const openDataKey = async (
  deps: { readonly vault: BlobReader; readonly wrappers: Pick<KeyWrappers, 'unwrapWith'> },
  keyId: string,
  stored: StoredKey | null,
): Promise<DataKey> => {
  const record = await (stored === null ? findKeyRecord(deps.vault, keyId) : readNewestReadable(deps.vault, stored))
  return unwrapDataKey(record, deps.wrappers.unwrapWith)
}

/** The record that a data key is opened with: its newest revision, or the one before where that is damaged.
 * @throws VaultError `key-missing`, or what is wrong with the newest where none can be read */
export const findKeyRecord = async (vault: BlobReader, keyId: string): Promise<KeyRecord> => {
  const found = (await listDataKeys(vault, keyId)).find((one) => one.keyId === keyId)
  if (found === undefined) throw new VaultError({ code: 'key-missing', name: dataKeyName(keyId, 1), keyId })
  return readNewestReadable(vault, found)
}

/** All revisions hold the same data key, so an earlier one stands in for one that is damaged or gone. */
export const readNewestReadable = async (vault: BlobReader, stored: StoredKey): Promise<KeyRecord> => {
  try {
    return await readKeyRecord(vault, stored)
  } catch (error) {
    if (!isDamage(error)) throw error
    for (let revision = stored.revision - 1; revision >= 1; revision--) {
      const earlier = await readKeyRecord(vault, { ...stored, revision }).catch(nullIfUnreadable)
      if (earlier !== null) return earlier
    }
    throw error
  }
}
