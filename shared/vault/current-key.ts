import * as v from 'valibot'
import { isKeyId } from '../format/data-key.ts'
import { decodeSealedJson, encodeSealedJson } from '../format/sealed-json.ts'
import { VaultError } from '../format/vault-error.ts'
import type { ControlStore } from '../ports/blob-store.ts'
import { parseRecord } from './parse-record.ts'

/** Which data key new frames are encrypted under: one object of the control container. Nothing there is needed to restore, as every frame
 * names its own key. */
const name = 'keys/current.json'

const schema = v.object({ format: v.literal(1), keyId: v.pipe(v.string(), v.check(isKeyId, 'is not a key id')) })

/** The data key that new frames are encrypted under, by its id, and what changing that takes. */
export interface CurrentKey {
  readonly keyId: string
  readonly etag: string
}

/** The object as it is, be it damaged. */
type FoundCurrentKey = Pick<CurrentKey, 'etag'> & { readonly keyId: string | VaultError }

/** Null before the first data key. @throws VaultError where the object is damaged */
export const readCurrentKey = async (control: ControlStore): Promise<CurrentKey | null> => {
  const found = await findCurrentKey(control)
  if (found === null) return null
  const { keyId, etag } = found
  if (keyId instanceof VaultError) throw keyId
  return { keyId, etag }
}

/** Null before the first data key. */
export const findCurrentKey = async (control: ControlStore): Promise<FoundCurrentKey | null> => {
  const content = await control.read(name)
  return content === null ? null : { keyId: keyIdIn(content.bytes), etag: content.etag }
}

const keyIdIn = (bytes: Uint8Array): string | VaultError => {
  try {
    return parseRecord(schema, decodeSealedJson(bytes, name), name).keyId
  } catch (error) {
    if (error instanceof VaultError) return error
    throw error
  }
}

/** Names the key unless another one is named meanwhile: of several at once one wins, and all go on with that one.
 * @param before what was named when the decision was made
 * @returns the key that is named afterwards */
export const nameCurrentKey = async (
  control: ControlStore,
  keyId: string,
  before: Pick<CurrentKey, 'etag'> | null,
): Promise<string> => {
  const body = encodeSealedJson({ format: 1, keyId })
  if (before === null) await control.create(name, [body])
  else await control.replace(name, body, before.etag)
  const after = await readCurrentKey(control)
  if (after === null) throw new VaultError({ code: 'object-missing', name })
  return after.keyId
}
