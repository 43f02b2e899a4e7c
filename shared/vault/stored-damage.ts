import * as v from 'valibot'
import { type DiskKey, storedDamageName } from '../format/names.ts'
import { formatVersion } from '../format/sectors.ts'
import type { CallOptions, ObjectCreator, ObjectReader } from '../ports/blob-store.ts'
import { createSealed, readSealed } from './objects.ts'
import { parseRecord } from './parse-record.ts'

const schema = v.object({ format: v.literal(formatVersion), code: v.string(), name: v.string() })

/** Which object was found damaged when a disk's transfer was compared with what the vault holds. */
export type StoredDamage = Readonly<v.InferOutput<typeof schema>>

/** Key: the disk of the recovery point; the first note stays. */
export const noteStoredDamage = async (
  control: ObjectCreator,
  key: DiskKey,
  { fault }: { readonly fault: Pick<StoredDamage, 'code' | 'name'> },
  options: CallOptions = {},
): Promise<void> => {
  const note: StoredDamage = { format: formatVersion, code: fault.code, name: fault.name }
  await createSealed(control, storedDamageName(key), note, options)
}

/** Null where nothing was found damaged. @throws VaultError */
export const readStoredDamage = async (
  control: ObjectReader,
  key: DiskKey,
  options: CallOptions = {},
): Promise<StoredDamage | null> => {
  const name = storedDamageName(key)
  const record = await readSealed(control, name, options)
  return record === null ? null : parseRecord(schema, record, name)
}
