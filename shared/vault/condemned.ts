import * as v from 'valibot'
import { condemnedName, condemnedPrefix } from '../format/names.ts'
import { formatVersion } from '../format/sectors.ts'
import type { BlobCreator, BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { createSealed, readSealed } from './objects.ts'
import { parseRecord } from './parse-record.ts'

/** What one collection pass is about to remove, as far as somebody could still want to build on it. Segments are not named: whoever does
 * not use the layers over them has no use for them. */
export interface Condemned {
  readonly passId: string
  /** Recovery points that have ended and whose older records go. */
  readonly recoveryPointIds: readonly string[]
  /** As in a LayerReference: names below `layers/`. */
  readonly layerIds: readonly string[]
}

const condemnedSchema = v.object({
  format: v.literal(formatVersion),
  passId: v.string(),
  recoveryPointIds: v.array(v.string()),
  layerIds: v.array(v.string()),
})

/** A condemned list of 200,000 names is some 10 MiB. */
const lengthBytesMax = 64 * 1024 * 1024

/** Tells everybody who writes an intent from here on. Key: the pass; the first list stays.
 * @returns the list that counts */
export const writeCondemned = async (
  control: BlobCreator,
  condemned: Condemned,
  options: CallOptions = {},
): Promise<Condemned> => {
  const record = { format: formatVersion, ...condemned }
  const created = await createSealed(control, condemnedName(condemned.passId), record, options)
  return created === 'created' ? condemned : ((await findCondemned(control, condemned.passId, options)) ?? condemned)
}

/** The list of one pass; null where it has none, or none any more. @throws VaultError */
export const findCondemned = async (
  control: BlobReader,
  passId: string,
  options: CallOptions = {},
): Promise<Condemned | null> => readCondemnedList(control, condemnedName(passId), options)

/** What all passes together are about to remove. Comes after the intent of whoever asks: a pass whose list is not there yet will see that
 * intent. @throws VaultError where a list cannot be read: nobody knows what it condemns */
export const readCondemned = async (
  control: BlobReader,
  options: CallOptions = {},
): Promise<{ readonly recoveryPointIds: ReadonlySet<string>; readonly layerIds: ReadonlySet<string> }> => {
  const recoveryPointIds = new Set<string>()
  const layerIds = new Set<string>()
  for await (const { name } of control.list(condemnedPrefix, options)) {
    const condemned = await readCondemnedList(control, name, options)
    for (const id of condemned?.recoveryPointIds ?? []) recoveryPointIds.add(id)
    for (const id of condemned?.layerIds ?? []) layerIds.add(id)
  }
  return { recoveryPointIds, layerIds }
}

/** Ids of the passes that have not ended, in order. */
export async function* listPasses(control: BlobReader, options: CallOptions = {}): AsyncGenerator<string> {
  for await (const { name } of control.list(condemnedPrefix, options))
    yield name.slice(condemnedPrefix.length, -'.json'.length)
}

/** Ends the pass. Repeatable. */
export const dropCondemned = async (
  control: ControlStore,
  passId: string,
  options: CallOptions = {},
): Promise<void> => {
  await control.remove(condemnedName(passId), undefined, options)
}

const readCondemnedList = async (
  control: BlobReader,
  name: string,
  options: CallOptions,
): Promise<Condemned | null> => {
  const record = await readSealed(control, name, { ...options, lengthBytesMax })
  if (record === null) return null
  const { format: _, ...condemned } = parseRecord(condemnedSchema, record, name)
  return condemned
}
