import { intentName, layersRoot, plansRoot, revisionsPrefix, slicesRoot } from '../format/names.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobCreator, BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { listDamage } from './damage-reports.ts'
import { fenceRecoveryPoint } from './fence-recovery-point.ts'
import type { RecoveryPointKey } from './recovery-points.ts'

/** Ids of recovery points that a check found no record of, though the record of a later one names them. */
export async function* reportedLost(control: BlobReader, options: CallOptions): AsyncGenerator<string> {
  for await (const { kind, code, name } of listDamage(control, null, options)) {
    const parsed = parseVaultName(name)
    if (kind === 'record' && code === 'object-missing' && parsed.kind === 'recoveryPoint') yield parsed.recoveryPointId
  }
}

/** Gives a recovery point up whose commit record is gone: a fence takes the record's name, and what it alone needs may be collected. Key: the recovery
 * point; repeatable. `unknown`: nothing tells of such a recovery point, or its backup is still at work; nothing was changed. */
export const giveUpLost = async (
  deps: { readonly vault: BlobCreator; readonly control: ControlStore },
  key: RecoveryPointKey,
  options: CallOptions = {},
): Promise<'given-up' | 'unknown'> => {
  const { vault, control } = deps
  const { vmKey, recoveryPointId } = key
  if (!(await isKnown(deps, recoveryPointId, options))) return 'unknown'
  if (await hasAny(control, intentName(recoveryPointId), options)) return 'unknown'
  if (await hasAny(vault, revisionsPrefix(vmKey, recoveryPointId), options)) return 'unknown'
  await fenceRecoveryPoint(deps, key, options)
  return 'given-up'
}

const isKnown = async (
  { vault, control }: { readonly vault: BlobReader; readonly control: BlobReader },
  recoveryPointId: string,
  options: CallOptions,
): Promise<boolean> => {
  for (const root of [layersRoot, slicesRoot])
    if (await hasAny(vault, `${root}${recoveryPointId}/`, options)) return true
  if (await hasAny(control, `${plansRoot}${recoveryPointId}/`, options)) return true
  for await (const id of reportedLost(control, options)) if (id === recoveryPointId) return true
  return false
}

const hasAny = async (reader: BlobReader, prefix: string, options: CallOptions): Promise<boolean> => {
  for await (const _ of reader.list(prefix, options)) return true
  return false
}
