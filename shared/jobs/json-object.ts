import { decodeSealedJson, encodeSealedJson } from '../format/sealed-json.ts'
import type { BlobCreator, ObjectReader } from '../ports/blob-store.ts'
import { createRemembered, remembering } from '../vault/remembered-objects.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A control object that is not the JSON this project wrote. */
export class ControlObjectError extends Error {
  override readonly name = 'ControlObjectError'
  constructor(objectName: string, options?: ErrorOptions) {
    super(
      `The control object ${objectName} is not readable JSON. Restore it from an earlier version, or remove it.`,
      options,
    )
  }
}

/** The bytes of a control object: indented JSON, so that an operator can read it in the portal. */
export const encodeJson = (value: unknown): Uint8Array => encoder.encode(`${JSON.stringify(value, null, 1)}\n`)

const decodeJson = (bytes: Uint8Array): unknown => JSON.parse(decoder.decode(bytes))

/** The object and its ETag; null where there is none.
 * @throws ControlObjectError where the bytes are not JSON */
export const readJson = async <Value>(
  reader: ObjectReader,
  name: string,
): Promise<{ readonly value: Value; readonly etag: string } | null> => {
  const content = await reader.read(name)
  if (content === null) return null
  try {
    return { value: decodeJson(content.bytes) as Value, etag: content.etag }
  } catch (cause) {
    throw new ControlObjectError(name, { cause })
  }
}

/** Creates the object, or reads the one that is there: whoever comes second takes what the first one decided. */
export const createOrRead = async <Value>(control: BlobCreator, name: string, value: Value): Promise<Value> => {
  if ((await control.create(name, [encodeJson(value)])) === 'created') return value
  const existing = await readJson<Value>(control, name)
  return existing === null ? value : existing.value
}

/** A decision carries the digest of its bytes, as commit records are made of decisions. Those of version 0.2 have none.
 * @throws VaultError where the bytes are not those that were written */
const decodeDecision = (bytes: Uint8Array, name: string): unknown => {
  const plain = plainOf(bytes)
  return plain === null || 'sha256' in plain || 'record' in plain ? decodeSealedJson(bytes, name) : plain
}

/** Null for what is no JSON object. */
const plainOf = (bytes: Uint8Array): object | null => {
  try {
    const value = decodeJson(bytes)
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

/** What was decided once for all attempts of a job; null where nothing is yet. A process asks for it until it is there, then remembers it:
 * it never changes, and nobody removes it before the job is over.
 * @throws VaultError where it is damaged */
export const readDecision = async <Value>(control: ObjectReader, name: string): Promise<Value | null> => {
  const content = await remembering(control, decodeDecision).read(name)
  return content === null ? null : (decodeDecision(content.bytes, name) as Value)
}

/** Decides, or takes what somebody else decided first. Key: the name. */
export const decideOnce = async <Value>(control: BlobCreator, name: string, value: Value): Promise<Value> => {
  if ((await createRemembered(control, name, encodeSealedJson(value))) === 'created') return value
  return (await readDecision<Value>(control, name)) ?? value
}
