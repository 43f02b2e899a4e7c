import * as v from 'valibot'
import { decodeSealedJson, encodeSealedJson } from '../format/sealed-json.ts'
import { VaultError } from '../format/vault-error.ts'
import type { ControlStore } from '../ports/blob-store.ts'
import { isKeyId } from './key-record.ts'

/** Which data key new frames are encrypted under: one object of the control container. Nothing there is needed to restore, as every frame
 * names its own key. */
const name = 'keys/current.json'

const schema = v.object({ format: v.literal(1), keyId: v.pipe(v.string(), v.check(isKeyId, 'is not a key id')) })

export interface CurrentKey {
  readonly keyId: string
  readonly etag: string
}

/** Null before the first data key. @throws VaultError where the object is damaged */
export const readCurrentKey = async (control: ControlStore): Promise<CurrentKey | null> => {
  const content = await control.read(name)
  if (content === null) return null
  const parsed = v.safeParse(schema, decodeSealedJson(content.bytes, name))
  if (!parsed.success) throw new VaultError({ code: 'malformed', name, place: 0, detail: v.summarize(parsed.issues) })
  return { keyId: parsed.output.keyId, etag: content.etag }
}

/** Names the key unless another one is named meanwhile: of several at once one wins, and all go on with that one.
 * @param before what was named when the decision was made
 * @returns the key that is named afterwards */
export const nameCurrentKey = async (
  control: ControlStore,
  keyId: string,
  before: CurrentKey | null,
): Promise<string> => {
  const body = encodeSealedJson({ format: 1, keyId })
  if (before === null) await control.create(name, [body])
  else await control.replace(name, body, before.etag)
  const after = await readCurrentKey(control)
  if (after === null) throw new VaultError({ code: 'object-missing', name })
  return after.keyId
}
