import * as v from 'valibot'
import { formatVersion } from '../format/sectors.ts'
import { VaultError } from '../format/vault-error.ts'

/** The record of a JSON object as its schema has it. @throws VaultError `malformed`, with what the schema finds wrong */
export const parseRecord = <Schema extends v.GenericSchema>(
  schema: Schema,
  record: unknown,
  name: string,
): v.InferOutput<Schema> => {
  const parsed = v.safeParse(schema, record)
  if (!parsed.success) throw new VaultError({ code: 'malformed', name, place: 0, detail: v.summarize(parsed.issues) })
  return parsed.output
}

/** Refuses a record of another format version; one that names none is left to its schema. @throws VaultError `unsupported-version` */
export const requireFormat = (record: unknown, name: string): void => {
  if (typeof record !== 'object' || record === null || !('format' in record)) return
  const { format } = record
  if (typeof format === 'number' && format !== formatVersion)
    throw new VaultError({ code: 'unsupported-version', name, version: format })
}

/** Refuses an object that says to be another than its name does.
 * @param expected from its name; `actual` from its bytes, in the same words
 * @throws VaultError `wrong-birth` */
export const requireBirth = (name: string, expected: string, actual: string): void => {
  if (actual !== expected) throw new VaultError({ code: 'wrong-birth', name, place: 0, expected, actual })
}
