import { attemptsRoot, intentsPrefix, recoveryPointName } from '../format/names.ts'
import { nullIfUnreadable, VaultError } from '../format/vault-error.ts'
import type { BlobCreator, BlobEntry, BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { commitRevision } from './commit-revision.ts'
import { listPasses, readCondemned } from './condemned.ts'
import { dropIntent, type Intent, type PlannedRevision, readIntent } from './intents.ts'

/** Begins the id of every compaction: no recovery point's id begins so. */
export const compactionIdPrefix = 'fold-'

/** What compactions have declared and not ended. One that is damaged belongs to nobody that can be told: it is left where it is.
 * @param vmKey of this VM alone; null for all */
export const listCompactions = async (
  control: BlobReader,
  vmKey: string | null,
  options: CallOptions,
): Promise<readonly Intent[]> => {
  const found: Intent[] = []
  for await (const { name } of control.list(`${intentsPrefix}${compactionIdPrefix}`, options)) {
    const intent = await readIntent(control, name, options).catch(nullIfUnreadable)
    if (intent !== null && (vmKey === null || intent.vmKey === vmKey)) found.push(intent)
  }
  return found
}

/** True where the intent keeps everything that the other one wants kept. */
export const covers = (intent: Intent, other: Intent): boolean =>
  intent.vmKey === other.vmKey &&
  other.dependsOn.every((id) => intent.dependsOn.includes(id)) &&
  (other.revisions ?? []).every((wanted) => intent.revisions?.some((revision) => isSame(revision, wanted)))

/** Ends a compaction, its own or one whose run is gone: every revision it might still create is created as it was, so that a late commit of it
 * finds the name taken; then the markers of its attempts go, and the intent, and what nobody refers to may be collected. Repeatable.
 * @param settled revisions that are known to be there */
export const fenceCompaction = async (
  deps: { readonly vault: BlobCreator; readonly control: ControlStore },
  intent: Intent,
  options: CallOptions = {},
  settled: readonly PlannedRevision[] = [],
): Promise<void> => {
  for (const revision of intent.revisions ?? [])
    if (!settled.some((one) => isSame(one, revision))) await takeRevision(deps.vault, revision, options)
  for (const { name } of await marked(deps.control, intent.id, options))
    await deps.control.remove(name, undefined, options)
  await dropIntent(deps.control, intent.id, options)
}

/** Where the record before it is damaged, somebody else may have taken it: who ended the recovery point. @throws VaultError where nobody has */
const takeRevision = async (vault: BlobCreator, revision: PlannedRevision, options: CallOptions): Promise<void> => {
  try {
    await commitRevision(vault, revision, [], options)
  } catch (error) {
    const name = recoveryPointName(revision.vmKey, revision.recoveryPointId, revision.revision)
    if (!(error instanceof VaultError) || (await vault.readRange(name, 0, 1, options)) === null) throw error
  }
}

/** Listed whole before any of them goes. */
const marked = async (control: BlobReader, id: string, options: CallOptions): Promise<readonly BlobEntry[]> => {
  const entries: BlobEntry[] = []
  for await (const entry of control.list(`${attemptsRoot}${id}/`, options)) entries.push(entry)
  return entries
}

/** True while a collection may remove what an earlier run left behind and this one would take for its own: a layer by its id, segments whenever
 * a pass is under way, as its list does not name them. To be asked behind the intents: later passes see those.
 * @param making ids of layers to be made, and whether segments are */
export const isCollecting = async (
  control: BlobReader,
  making: { readonly layerIds: readonly string[]; readonly segments: boolean },
  options: CallOptions,
): Promise<boolean> => {
  if (making.segments) for await (const _ of listPasses(control, options)) return true
  const { layerIds } = await readCondemned(control, options)
  return making.layerIds.some((id) => layerIds.has(id))
}

const isSame = (a: PlannedRevision, b: PlannedRevision): boolean =>
  a.revision === b.revision && a.recoveryPointId === b.recoveryPointId && a.vmKey === b.vmKey
