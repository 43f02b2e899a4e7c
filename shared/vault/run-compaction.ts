import { intentName, layerIdOf, recoveryPointName } from '../format/names.ts'
import type { BlobCreator, CallOptions, ControlStore } from '../ports/blob-store.ts'
import type { CompactionStep, Making } from './choose-compaction.ts'
import { commitRevision, type Replacement } from './commit-revision.ts'
import { covers, fenceCompaction, isCollecting } from './compaction-intents.ts'
import { foldLayers } from './fold-layers.ts'
import { type Intent, type PlannedRevision, readIntent, writeIntent } from './intents.ts'
import { proveFold } from './prove-fold.ts'
import { noRegatherKeys, type RegatherKeys } from './regather-keys.ts'
import { type Regathered, regatherLayer } from './regather-layer.ts'
import { type MovedFrames, nothingMoved, rewriteSegments } from './rewrite-segments.ts'

/** Where layers lie, and what opens frames whose bytes are gathered anew. */
export interface CompactionDeps {
  readonly vault: BlobCreator
  readonly control: ControlStore
  /** For frames that are encrypted; none where absent. */
  readonly keys?: RegatherKeys
}

/** What one step came to. `postponed`: a collection is about to remove what an earlier run of this step left; nothing was done yet. */
export type StepOutcome =
  | {
      readonly kind: 'compacted'
      /** Layers that others stand for from here on. */
      readonly folded: number
      readonly rewrittenBytes: number
      /** Recovery points that were re-pointed. */
      readonly revisions: number
    }
  | { readonly kind: 'postponed' }

/** The intents that a step needs: one for each id that names of its objects carry. */
export const intentsOf = (vmKey: string, step: CompactionStep): readonly Intent[] => {
  const revisions = plannedRevisions(vmKey, step)
  const dependsOn = step.points.map(({ recoveryPointId }) => recoveryPointId)
  return step.makings.map(({ id }) => ({ kind: 'compaction', id, vmKey, dependsOn, revisions }))
}

const plannedRevisions = (vmKey: string, step: CompactionStep): readonly PlannedRevision[] =>
  step.points.map(({ recoveryPointId, revision }) => ({ vmKey, recoveryPointId, revision }))

/** Declares the step, makes its layers, proves each equal to what it stands for, then re-points the recovery points. Key: the ids of the step;
 * whatever a broken run left is found and used. The order is what makes it safe next to a collection: intents, then the condemned, then
 * whether the recovery points are still what they were.
 * @throws VaultError where what is read is damaged: the recovery points stay as they are */
export const runCompaction = async (
  deps: CompactionDeps,
  vmKey: string,
  step: CompactionStep,
  options: CallOptions,
): Promise<StepOutcome> => {
  const wanted = intentsOf(vmKey, step)
  const layerIds = step.makings.map(({ id, disk }) => layerIdOf({ recoveryPointId: id, disk }))
  const segments = step.makings.some(({ sparse, regathered }) => sparse.size + regathered.size > 0)
  const mustWait = () => isCollecting(deps.control, { layerIds, segments }, options)
  if (await mustWait()) return postpone(deps, wanted, options)
  const declared: Intent[] = []
  for (const intent of wanted) {
    const found = await writeIntent(deps.control, intent, options)
    if (!covers(found, intent)) return postpone(deps, wanted, options)
    declared.push(found)
  }
  if (await mustWait()) return postpone(deps, wanted, options)
  const open = await undecided(deps, plannedRevisions(vmKey, step), options)
  const made = open.length === 0 ? { replacements: [], rewrittenBytes: 0 } : await make(deps, step, options)
  const settled = await repoint(deps, open, made.replacements, options)
  for (const intent of declared) await fenceCompaction(deps, intent, options, settled)
  const folded = made.replacements.reduce((sum, { from }) => sum + from.length, 0)
  return { kind: 'compacted', folded, rewrittenBytes: made.rewrittenBytes, revisions: settled.length }
}

/** Leaves no intent behind: what it keeps may be what the collection waits for to end, and nobody else would end it. */
const postpone = async (
  deps: CompactionDeps,
  wanted: readonly Intent[],
  options: CallOptions,
): Promise<StepOutcome> => {
  for (const { id } of wanted) {
    const found = await readIntent(deps.control, intentName(id), options)
    if (found !== null) await fenceCompaction(deps, found, options)
  }
  return { kind: 'postponed' }
}

/** Recovery points that nobody has revised or ended since the step was chosen. What they need is kept from here on. */
const undecided = async (
  deps: CompactionDeps,
  revisions: readonly PlannedRevision[],
  options: CallOptions,
): Promise<readonly PlannedRevision[]> => {
  const open: PlannedRevision[] = []
  for (const planned of revisions) {
    const name = recoveryPointName(planned.vmKey, planned.recoveryPointId, planned.revision)
    if ((await deps.vault.readRange(name, 0, 1, options)) === null) open.push(planned)
  }
  return open
}

const make = async (deps: CompactionDeps, step: CompactionStep, options: CallOptions) => {
  const replacements: Replacement[] = []
  let moved: MovedFrames = nothingMoved
  let rewrittenBytes = 0
  for (const making of step.makings) {
    const rewrite = await rewriteFor(deps, making, moved, options)
    moved = rewrite ?? moved
    const gathered = await regatherFor(deps, making, options)
    rewrittenBytes += (rewrite?.rewrittenBytes ?? 0) + (gathered?.storedBytes ?? 0)
    const { id, disk, from, isLowest } = making
    const overlay = gathered === null ? {} : { overlay: gathered.runs }
    const to = await foldLayers(
      deps.vault,
      { id, disk, layers: from, isLowest, movedTo: moved.find, ...overlay },
      options,
    )
    await proveFold(deps.vault, { layers: from, folded: to, isLowest, ...overlay }, options)
    replacements.push({ disk, from, to, isLowest })
  }
  return { replacements, rewrittenBytes }
}

const rewriteFor = async (deps: CompactionDeps, making: Making, before: MovedFrames, options: CallOptions) => {
  const { id, disk, from, sparse } = making
  const [layer] = from
  if (sparse.size === 0 || layer === undefined) return null
  return rewriteSegments(deps.vault, { id, disk, layer, segments: sparse, before }, options)
}

const regatherFor = async (
  { vault, control, keys = noRegatherKeys }: CompactionDeps,
  { id, disk, from, regathered }: Making,
  options: CallOptions,
): Promise<Regathered | null> => {
  if (regathered.size === 0) return null
  return regatherLayer({ vault, control, keys }, { id, disk, layers: from, frames: regathered }, options)
}

/** @returns the revisions that are there now by this run's doing */
const repoint = async (
  deps: CompactionDeps,
  open: readonly PlannedRevision[],
  replacements: readonly Replacement[],
  options: CallOptions,
): Promise<readonly PlannedRevision[]> => {
  const settled: PlannedRevision[] = []
  for (const planned of open) {
    const outcome = await commitRevision(deps.vault, planned, replacements, options)
    if (outcome.kind === 'committed') settled.push(planned)
  }
  return settled
}
