import * as v from 'valibot'
import { intentName } from '../format/names.ts'
import { formatVersion } from '../format/sectors.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { commitRevision } from './commit-revision.ts'
import { dropIntent } from './intents.ts'
import { createSealed, readSealed } from './objects.ts'

/** A revision that a compaction is going to create. */
export interface PlannedRevision {
  readonly vmKey: string
  readonly recoveryPointId: string
  readonly revision: number
}

/** Written before a compaction makes anything; kept until each of its revisions is somebody's. */
export interface CompactionIntent {
  readonly kind: 'compaction'
  /** The compaction's; the names of what it makes carry it. */
  readonly id: string
  readonly vmKey: string
  readonly dependsOn: readonly string[]
  readonly revisions: readonly PlannedRevision[]
}

export const compactionIdPrefix = 'fold-'

/** Key: the id. @returns the intent that is there: another run's where it was first */
export const declareCompaction = async (
  control: BlobCreator,
  intent: CompactionIntent,
  options: CallOptions,
): Promise<CompactionIntent | null> => {
  await createSealed(control, intentName(intent.id), { format: formatVersion, ...intent }, options)
  return readIntent(control, intentName(intent.id), options)
}

/** What compactions of the VM have declared and not ended. One that is damaged belongs to nobody that can be told: it is left where it is. */
export const listCompactions = async (
  control: BlobCreator,
  vmKey: string,
  options: CallOptions,
): Promise<readonly CompactionIntent[]> => {
  const found: CompactionIntent[] = []
  for await (const { name } of control.list(`intents/${compactionIdPrefix}`, options)) {
    const intent = await readIntent(control, name, options).catch(nullIfDamaged)
    if (intent?.vmKey === vmKey) found.push(intent)
  }
  return found
}

/** True where the intent keeps everything that the other one wants kept. */
export const covers = (intent: CompactionIntent, other: CompactionIntent): boolean =>
  intent.vmKey === other.vmKey &&
  other.dependsOn.every((id) => intent.dependsOn.includes(id)) &&
  other.revisions.every((wanted) => intent.revisions.some((revision) => isSame(revision, wanted)))

/** Ends a compaction, its own or one whose run is gone: every revision it might still create is created as it was, so that a late commit of it
 * finds the name taken; then the intent goes, and what nobody refers to may be collected. Repeatable.
 * @param settled revisions that are known to be there */
export const fenceCompaction = async (
  deps: { readonly vault: BlobCreator; readonly control: ControlStore },
  intent: CompactionIntent,
  options: CallOptions = {},
  settled: readonly PlannedRevision[] = [],
): Promise<void> => {
  for (const revision of intent.revisions)
    if (!settled.some((one) => isSame(one, revision))) await commitRevision(deps.vault, revision, [], options)
  await dropIntent(deps.control, intent.id, options)
}

/** True while a collection is about to remove objects that carry one of the ids: what an earlier run left behind and the next would build on. */
export const areCondemned = async (
  control: BlobCreator,
  ids: readonly string[],
  options: CallOptions,
): Promise<boolean> => {
  for await (const { name } of control.list('condemned/', options)) {
    const content = await control.read(name, options)
    if (content === null) continue
    const bytes = Buffer.from(content.bytes)
    if (ids.some((id) => bytes.includes(id))) return true
  }
  return false
}

const revision = v.object({
  vmKey: v.string(),
  recoveryPointId: v.string(),
  revision: v.pipe(v.number(), v.safeInteger(), v.minValue(2)),
})

const schema = v.object({
  format: v.literal(formatVersion),
  kind: v.literal('compaction'),
  id: v.string(),
  vmKey: v.string(),
  dependsOn: v.array(v.string()),
  revisions: v.array(revision),
})

const readIntent = async (
  control: BlobCreator,
  name: string,
  options: CallOptions,
): Promise<CompactionIntent | null> => {
  const sealed = await readSealed(control, name, options)
  if (sealed === null) return null
  const parsed = v.safeParse(schema, sealed)
  if (!parsed.success) throw new VaultError({ code: 'malformed', name, place: 0, detail: v.summarize(parsed.issues) })
  return parsed.output
}

const nullIfDamaged = (error: unknown): null => {
  if (error instanceof VaultError) return null
  throw error
}

const isSame = (a: PlannedRevision, b: PlannedRevision): boolean =>
  a.revision === b.revision && a.recoveryPointId === b.recoveryPointId && a.vmKey === b.vmKey
