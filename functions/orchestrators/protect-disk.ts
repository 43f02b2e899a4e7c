import { diskReport } from '../../shared/domain/disk-report.ts'
import type { DiskReport } from '../../shared/domain/job.ts'
import type { DiskRef, Failed, Stopped } from '../../shared/domain/job-ref.ts'
import { type DiskProgress, type Moved, nothingMoved, sumMoved } from '../../shared/domain/progress.ts'
import {
  type DiskOutcome,
  type DiskPlanOutcome,
  type LaneInput,
  type LaneOutcome,
  planDisk,
  protectDisk,
  sealDisk,
  transferLane,
} from '../contracts.ts'
import {
  call,
  eachChild,
  millisecondsSince,
  type OrchestrationContext,
  registerStory,
  type Story,
  startOf,
  status,
  untilReady,
} from '../durable.ts'
import { eachSlice, slicesPerGeneration } from './transfer-lane.ts'

/** The story of one disk's transfer. It never throws: what goes wrong is its outcome. */
export function* protectDiskStory(context: OrchestrationContext, ref: DiskRef): Story<DiskOutcome> {
  const start = startOf(context)
  status(context, unplanned)
  const plan = yield* untilReady(context, planDisk, ref)
  if (plan.kind !== 'planned') return notTransferred(ref, plan)

  if (plan.unchanged !== undefined) return ended(context, start, plan, nothingMoved, plan.unchanged)

  const transfer = yield* inLanes(context, ref, plan)
  if (transfer.kind !== 'transferred') return notTransferred(ref, transfer, plan)

  status(context, progress('seal', plan, transfer.moved))
  const sealed = yield* call(context, sealDisk, ref)
  if (sealed.kind === 'failed') return notTransferred(ref, sealed, plan)

  return ended(context, start, plan, transfer.moved, sealed.report)
}

const ended = (
  context: OrchestrationContext,
  start: string,
  plan: Planned,
  moved: Moved,
  report: DiskReport,
): DiskOutcome => {
  status(context, progress('ended', plan, moved))
  return { kind: 'transferred', report: { ...report, milliseconds: millisecondsSince(context, start) } }
}

type Planned = DiskPlanOutcome & { readonly kind: 'planned' }

/** Few slices are moved right here; more of them by lanes, which never share a task and keep their histories short. */
function* inLanes(context: OrchestrationContext, ref: DiskRef, plan: Planned): Story<LaneOutcome> {
  if (plan.slices <= slicesPerGeneration && (plan.lanes <= 1 || plan.slices <= 1)) {
    const turn = { next: 0, lanes: 1, slices: plan.slices, moved: nothingMoved }
    const show = (moved: Moved) => status(context, progress('transfer', plan, moved))
    return (yield* eachSlice(context, ref, turn, show)) as LaneOutcome
  }
  const lanes = Math.max(1, Math.min(plan.lanes, plan.slices))
  status(context, progress('transfer', plan, { ...nothingMoved, lanes }))
  return together(yield* eachChild<LaneInput, LaneOutcome>(context, transferLane, lanesOf(ref, plan.slices, lanes)))
}

const lanesOf = (ref: DiskRef, slices: number, lanes: number): readonly { label: string; input: LaneInput }[] =>
  Array.from({ length: lanes }, (_, lane) => ({
    label: `lane-${lane}`,
    input: { ...ref, lane, lanes, slices, next: lane, moved: nothingMoved },
  }))

/** A failed lane speaks for the disk, then a stopped one. */
const together = (outcomes: readonly LaneOutcome[]): LaneOutcome =>
  outcomes.find(({ kind }) => kind === 'failed') ??
  outcomes.find(({ kind }) => kind === 'stopped') ?? {
    kind: 'transferred',
    moved: sumMoved(outcomes.map((outcome) => (outcome.kind === 'transferred' ? outcome.moved : nothingMoved))),
  }

const unplanned: DiskProgress = {
  ...nothingMoved,
  phase: 'plan',
  transfer: null,
  sizeBytes: 0,
  totalBytes: 0,
  slices: 0,
  lanes: 0,
}

const progress = (
  phase: DiskProgress['phase'],
  plan: Planned,
  moved: Moved & { readonly lanes?: number },
): DiskProgress => ({
  ...unplanned,
  ...moved,
  phase,
  transfer: plan.transfer,
  sizeBytes: plan.sizeBytes,
  totalBytes: plan.changedBytes,
  slices: plan.slices,
})

const notTransferred = (ref: DiskRef, why: Failed | Stopped, plan?: Planned): DiskOutcome => ({
  kind: why.kind,
  report: diskReport({
    disk: ref.disk,
    kind: why.kind,
    transfer: plan?.transfer ?? null,
    sizeBytes: plan?.sizeBytes ?? 0,
    changedBytes: plan?.changedBytes ?? 0,
    reason: why.kind === 'failed' ? `${why.reason}: ${why.message}` : why.reason,
    hint: why.kind === 'failed' ? why.hint : null,
  }),
})

registerStory(protectDisk, protectDiskStory)
