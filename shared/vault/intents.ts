import * as v from 'valibot'
import { intentName } from '../format/names.ts'
import { formatVersion } from '../format/sectors.ts'
import type { BlobCreator, BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { createSealed, readSealed } from './objects.ts'
import { parseRecord } from './parse-record.ts'

/** What a running job depends on: while the intent is there, no collector removes any revision of what it names, nor anything that lies
 * below its own id. */
export interface Intent {
  readonly kind: 'backup' | 'restore' | 'compaction' | 'verification'
  /** The recovery point id of a backup, the id of a compaction, the job id of the others. */
  readonly id: string
  readonly vmKey: string
  /** Recovery point ids. */
  readonly dependsOn: readonly string[]
  /** Of a compaction: the revisions that it is going to create. Whoever ends it from outside creates them first. */
  readonly revisions?: readonly PlannedRevision[] | undefined
  /** Of a compaction: the ids below which it makes objects, where its own is not the only one. */
  readonly makes?: readonly string[] | undefined
}

/** A commit record that a compaction is going to create. */
export interface PlannedRevision {
  readonly recoveryPointId: string
  readonly vmKey: string
  readonly revision: number
}

const intentSchema = v.object({
  format: v.literal(formatVersion),
  kind: v.picklist(['backup', 'restore', 'compaction', 'verification']),
  id: v.string(),
  vmKey: v.string(),
  dependsOn: v.array(v.string()),
  revisions: v.optional(v.array(v.object({ recoveryPointId: v.string(), vmKey: v.string(), revision: v.number() }))),
  makes: v.optional(v.array(v.string())),
})

/** Comes before the first look at what the job depends on: what was read earlier may be gone. Key: the id.
 * @returns the intent that counts: that of the first run, where there was one. What it does not name is not protected */
export const writeIntent = async (control: BlobCreator, intent: Intent, options: CallOptions = {}): Promise<Intent> => {
  const created = await createSealed(control, intentName(intent.id), { format: formatVersion, ...intent }, options)
  if (created === 'created') return intent
  const first = await readIntent(control, intentName(intent.id), options)
  return first ?? writeIntent(control, intent, options)
}

/** Repeatable; of a backup only after its recovery point is decided: committed, or fenced off. */
export const dropIntent = async (control: ControlStore, id: string, options: CallOptions = {}): Promise<void> => {
  await control.remove(intentName(id), undefined, options)
}

/** Null where there is none. @throws VaultError where it cannot be read: nobody knows what it protects */
export const readIntent = async (control: BlobReader, name: string, options: CallOptions): Promise<Intent | null> => {
  const record = await readSealed(control, name, options)
  if (record === null) return null
  const { format: _, ...intent } = parseRecord(intentSchema, record, name)
  return intent
}
