import type { LayerReference } from '../domain/recovery-point.ts'
import type { CallOptions, ControlStore } from '../ports/blob-store.ts'
import {
  type CompactionStep,
  chooseFoldStep,
  chooseRegatherStep,
  chooseRewriteStep,
  type RegatherStep,
} from './choose-compaction.ts'
import { covers, fenceCompaction, listCompactions } from './compaction-intents.ts'
import { readImageBase } from './image-bases.ts'
import { type LivePoint, readLivePoints } from './live-points.ts'
import { callOptions } from './objects.ts'
import { isKeyFault, noRegatherKeys, requireKeys } from './regather-keys.ts'
import { type CompactionDeps, intentsOf, runCompaction } from './run-compaction.ts'

/** What one call may do for one VM. */
export interface CompactVmRequest {
  readonly vmKey: string
  /** Steps of this call: a step folds once for each disk, or moves the data of one disk. */
  readonly stepsMax: number
  /** Recovery points re-pointed by one fold. */
  readonly pointsMax?: number
  /** Stored bytes that one step may move out of sparse segments, and shown bytes that it may gather from sparse frames. 0: neither are looked
   * for, which takes reading the folded layers' indexes; worth it after recovery points have ended. */
  readonly rewriteBytesMax: number
  readonly signal?: AbortSignal
}

/** `more`: the steps were used up. `postponed`: the rest waits for a collection or another compaction of the VM; ask again when it has ended. */
export interface Compacted {
  readonly kind: 'done' | 'more' | 'postponed'
  /** Layers that others stand for from here on. */
  readonly folded: number
  readonly rewrittenBytes: number
  /** Revisions that re-point a recovery point. */
  readonly revisions: number
  /** Why sparse frames were left as they are, where a data key for them is not at hand. The rest was done. */
  readonly leftOut?: Error
}

/** Keeps the stacks of a VM's recovery points short, its segments and its frames full (docs/adr/0016). Every recovery point reads the same before, during and
 * after. May be broken off at any call and run again, by several at once, next to backups, restores, expiries and collections.
 * @throws VaultError where an index or a frame is damaged: nothing that referred to it is changed */
export const compactVm = async (deps: CompactionDeps, request: CompactVmRequest): Promise<Compacted> => {
  const options = callOptions(request.signal)
  let sum: Omit<Compacted, 'kind'> = { folded: 0, rewrittenBytes: 0, revisions: 0 }
  for (let steps = 0; steps < request.stepsMax; steps += 1) {
    const chosen = await settledStep(deps, request, options)
    if (chosen === 'contended') return { kind: 'postponed', ...sum }
    const { step, ...leftOut } = chosen
    sum = { ...sum, ...leftOut }
    if (step === null) return { kind: 'done', ...sum }
    const outcome = await runCompaction(deps, request.vmKey, step, options)
    if (outcome.kind === 'postponed') return { kind: 'postponed', ...sum }
    const { folded, rewrittenBytes, revisions } = outcome
    sum = {
      ...sum,
      folded: sum.folded + folded,
      rewrittenBytes: sum.rewrittenBytes + rewrittenBytes,
      revisions: sum.revisions + revisions,
    }
  }
  return { kind: 'more', ...sum }
}

/** Two small calls for each; later ones would need a layer of their own. */
const pointsMaxDefault = 1000
/** One round is enough unless other runs of the same VM's compaction keep declaring. */
const fenceRoundsMax = 4

/** The next step; compactions that were declared and are not this one are fenced first, and as that makes revisions, the step is chosen again. */
const settledStep = async (
  deps: CompactionDeps,
  request: CompactVmRequest,
  options: CallOptions,
): Promise<ChosenStep | 'contended'> => {
  for (let round = 0; round < fenceRoundsMax; round += 1) {
    const points = await readLivePoints(deps.vault, request.vmKey, options)
    const chosen = await chooseStep(deps, request, points, options)
    const { step } = chosen
    const wanted = step === null ? [] : intentsOf(request.vmKey, step)
    const declared = await listCompactions(deps.control, request.vmKey, options)
    const stale = declared.filter((intent) => !wanted.some((one) => one.id === intent.id && covers(intent, one)))
    if (stale.length === 0) return chosen
    for (const intent of stale) await fenceCompaction(deps, intent, options)
  }
  return 'contended'
}

const chooseStep = async (
  deps: CompactionDeps,
  request: CompactVmRequest,
  points: readonly LivePoint[],
  options: CallOptions,
): Promise<ChosenStep> => {
  const { vmKey, pointsMax = pointsMaxDefault, rewriteBytesMax } = request
  const isShared = await sharedLayers(deps.control, points, options)
  const folds = chooseFoldStep(vmKey, points, isShared, pointsMax)
  if (folds !== null || rewriteBytesMax === 0) return { step: folds }
  const regather = await chooseRegatherStep(deps.vault, vmKey, points, isShared, rewriteBytesMax, options)
  const leftOut = regather === null ? null : await keyFaultOf(deps, regather, options)
  if (regather !== null && leftOut === null) return { step: regather.step }
  const rewrite = await chooseRewriteStep(deps.vault, vmKey, points, isShared, rewriteBytesMax, options)
  return { step: rewrite, ...(leftOut === null ? {} : { leftOut }) }
}

interface ChosenStep extends Pick<Compacted, 'leftOut'> {
  readonly step: CompactionStep | null
}

/** Null where all keys that the step needs are at hand. */
const keyFaultOf = async (
  { vault, keys = noRegatherKeys }: CompactionDeps,
  { samples }: RegatherStep,
  options: CallOptions,
): Promise<Error | null> => {
  try {
    await requireKeys(vault, keys, samples, options)
    return null
  } catch (error) {
    if (isKeyFault(error)) return error
    throw error
  }
}

/** Layers that disks of other VMs lie on, or may: those with a sidecar, and those that new clones are pointed to. Left alone, they stay one copy
 * for all. */
const sharedLayers = async (
  control: ControlStore,
  points: readonly LivePoint[],
  options: CallOptions,
): Promise<(layer: LayerReference) => boolean> => {
  const ids = new Set(points.flatMap(({ disks }) => disks.flatMap((disk) => disk.sharedLayerId ?? [])))
  for await (const { name } of control.list('bases/', options)) {
    const imageKey = /^bases\/([^/]+)\.json$/.exec(name)?.[1]
    const base = imageKey === undefined ? null : await readImageBase(control, imageKey, options)
    if (base !== null) ids.add(base.layer.layerId)
  }
  return ({ layerId }) => ids.has(layerId)
}
