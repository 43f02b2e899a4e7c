import { intentName } from '../format/names.ts'
import { formatVersion } from '../format/sectors.ts'
import type { BlobCreator, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { createSealed } from './objects.ts'

/** What a running backup or restore depends on; kept while it runs, so that nothing of it is expired. */
export interface Intent {
  readonly kind: 'backup' | 'restore'
  /** The recovery point id of a backup, the job id of a restore. */
  readonly id: string
  readonly vmKey: string
  /** Recovery point ids. */
  readonly dependsOn: readonly string[]
}

/** Key: the id. A second run finds the first one's intent, which names the same. */
export const writeIntent = async (control: BlobCreator, intent: Intent, options: CallOptions = {}): Promise<void> => {
  await createSealed(control, intentName(intent.id), { format: formatVersion, ...intent }, options)
}

/** Repeatable; only after the commit record exists or the job has given up. */
export const dropIntent = async (control: ControlStore, id: string, options: CallOptions = {}): Promise<void> => {
  await control.remove(intentName(id), undefined, options)
}
