import type { LayerReference } from '../domain/recovery-point.ts'
import { digestHex } from '../format/digest.ts'
import { layerIdOf, layerName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobCreator, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { commitRevision, placeIn } from './commit-revision.ts'
import { compactionIdPrefix, covers, fenceCompaction, isCollecting } from './compaction-intents.ts'
import { clearDamage, type DamageReport, listDamage } from './damage-reports.ts'
import { type Intent, type PlannedRevision, writeIntent } from './intents.ts'
import { type LiveDisk, readLivePoints } from './live-points.ts'
import { recoverLayer } from './rebuild-layer.ts'
import type { ShardLimits } from './rebuild-shards.ts'
import { copyLayer, putBack, type RecoveredLayer } from './recovered-layer.ts'
import { defaultTuning } from './transfer-tuning.ts'

/** Where indexes lie, and where damage is noted. */
export interface RebuildDeps {
  readonly vault: BlobCreator
  readonly control: ControlStore
}

/** `put-back`: the object is there again, byte for byte. `re-pointed`: recovery points stand on a copy under another name, as the damaged object
 * keeps its own. `lost`: nothing is left that it could be made of and be proven. `postponed`: a collection or another run is in the way. */
export type Rebuilt = 'put-back' | 're-pointed' | 'lost' | 'postponed'

/** Rebuilds every layer that is reported as damaged, of all VMs. One that cannot be rebuilt keeps its report, and backups do without it.
 * @returns the reports of those that were rebuilt, which are gone */
export const rebuildReported = async (
  deps: RebuildDeps,
  options: CallOptions = {},
): Promise<readonly DamageReport[]> => {
  const reports: DamageReport[] = []
  for await (const report of listDamage(deps.control, null, options)) if (report.kind === 'index') reports.push(report)
  const rebuilt: DamageReport[] = []
  for (const report of reports) {
    const layer = await neededLayer(deps, report, options)
    const outcome = layer === null ? 'lost' : await rebuildTolerantly(deps, { vmKey: report.vmKey, layer }, options)
    if (outcome !== 'put-back' && outcome !== 're-pointed') continue
    await clearDamage(deps.control, report, options)
    rebuilt.push(report)
  }
  return rebuilt
}

const neededLayer = async (
  { vault }: RebuildDeps,
  { vmKey, name }: DamageReport,
  options: CallOptions,
): Promise<LayerReference | null> => {
  const points = await readLivePoints(vault, vmKey, options)
  const stacks = points.flatMap(({ disks }) => disks.map(({ stack }) => stack))
  return stacks.flat().find(({ layerId }) => layerName(layerId) === name) ?? null
}

/** What else is damaged on the way has a report of its own, or will have. */
const rebuildTolerantly = async (
  deps: RebuildDeps,
  of: { readonly vmKey: string; readonly layer: LayerReference },
  options: CallOptions,
): Promise<Rebuilt> => {
  try {
    return await rebuildLayer(deps, of, defaultTuning, options)
  } catch (error) {
    if (error instanceof VaultError) return 'lost'
    throw error
  }
}

/** Makes a layer whole again that was found missing or damaged. May be broken off at any call and run again. Key: the layer and the VM.
 * @param limits where the transfer that made it ended its shards */
export const rebuildLayer = async (
  deps: RebuildDeps,
  of: { readonly vmKey: string; readonly layer: LayerReference },
  limits: ShardLimits,
  options: CallOptions = {},
): Promise<Rebuilt> => {
  const recovered = await recoverLayer(deps.vault, of, limits, options)
  if (recovered === null) return 'lost'
  if (await putBack(deps.vault, recovered, options)) return 'put-back'
  return repoint(deps, of, recovered, options)
}

/** Declares itself as a compaction does, for the same reasons; as the id names revisions, it never comes again once they are there. */
const repoint = async (
  deps: RebuildDeps,
  { vmKey, layer }: { readonly vmKey: string; readonly layer: LayerReference },
  recovered: RecoveredLayer,
  options: CallOptions,
): Promise<Rebuilt> => {
  const { disk } = recovered.footer
  const { revisions, labels } = await usersOf(deps, vmKey, layer, options)
  const parts = ['rebuild', vmKey, layer.layerId, layer.digest, revisions]
  const id = `${compactionIdPrefix}${digestHex(Buffer.from(JSON.stringify(parts))).slice(0, 32)}`
  const dependsOn = revisions.map(({ recoveryPointId }) => recoveryPointId)
  const intent: Intent = { kind: 'compaction', id, vmKey, dependsOn, revisions }
  const declared = await writeIntent(deps.control, intent, options)
  const making = { layerIds: [layerIdOf({ recoveryPointId: id, disk })], segments: false }
  if (!covers(declared, intent) || (await isCollecting(deps.control, making, options))) return 'postponed'
  const to = await copyLayer(deps.vault, recovered, id, options)
  const replacements = labels.map((label) => ({ disk: label, from: [layer], to, isLowest: false }))
  const settled: PlannedRevision[] = []
  for (const revision of revisions) {
    const outcome = await commitRevision(deps.vault, revision, replacements, options)
    if (outcome.kind === 'committed') settled.push(revision)
  }
  await fenceCompaction(deps, declared, options, settled)
  return settled.length === revisions.length ? 're-pointed' : 'postponed'
}

/** The next revisions of the recovery points that have the layer, and the disks that have it. */
const usersOf = async (
  { vault }: RebuildDeps,
  vmKey: string,
  layer: LayerReference,
  options: CallOptions,
): Promise<{ readonly revisions: readonly PlannedRevision[]; readonly labels: readonly string[] }> => {
  const points = await readLivePoints(vault, vmKey, options)
  const has = ({ stack }: LiveDisk): boolean => placeIn(stack, [layer]) !== -1
  const having = points.filter(({ disks }) => disks.some(has))
  const revisions = having.map(({ recoveryPointId, revision }) => ({ vmKey, recoveryPointId, revision: revision + 1 }))
  const labels = new Set(having.flatMap(({ disks }) => disks.filter(has).map(({ disk }) => disk)))
  return { revisions, labels: [...labels] }
}
