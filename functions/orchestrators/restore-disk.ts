import { diskReport } from '../../shared/domain/disk-report.ts'
import type { Failed, Stopped } from '../../shared/domain/job-ref.ts'
import { type DiskProgress, type Moved, nothingMoved } from '../../shared/domain/progress.ts'
import {
  abandonRestoreDisk,
  type DiskOutcome,
  finishRestoreDisk,
  openRestoreDisk,
  type RestoreDiskInput,
  type RestoreProgress,
  restoreDisk,
  restoreRange,
} from '../contracts.ts'
import {
  continueAs,
  millisecondsSince,
  type OrchestrationContext,
  registerStory,
  type Story,
  startOf,
  status,
  untilReady,
} from '../durable.ts'

/** The story of one disk's restore. It never throws; a disk that is given up is closed and has no footer. */
export function* restoreDiskStory(
  context: OrchestrationContext,
  { progress: carried, ...ref }: RestoreDiskInput,
): Story<DiskOutcome | undefined> {
  const opened = carried ?? (yield* open(context, ref))
  if ('kind' in opened) return yield* givenUp(context, ref, opened)

  const show = (at: RestoreProgress) => status(context, shown('transfer', at))
  const written = yield* eachRange(context, ref, opened, show)
  if (written.kind === 'more') return continueAs(context, restoreDisk, { ...ref, progress: written.progress })
  if (written.kind !== 'written') return yield* givenUp(context, ref, written)

  const finished = yield* untilReady(context, finishRestoreDisk, ref)
  if (finished.kind === 'failed') return yield* givenUp(context, ref, finished)

  status(context, shown('ended', written.progress))
  return restored(context, ref, written.progress)
}

type Ref = Omit<RestoreDiskInput, 'progress'>

function* open(context: OrchestrationContext, ref: Ref): Story<RestoreProgress | Failed | Stopped> {
  const startedAt = startOf(context)
  const opened = yield* untilReady(context, openRestoreDisk, ref)
  if (opened.kind !== 'open') return opened
  return { sizeBytes: opened.sizeBytes, nextOffsetBytes: 0, moved: nothingMoved, startedAt }
}

/** Ranges in one history. */
const rangesPerGeneration = 50

function* eachRange(
  context: OrchestrationContext,
  ref: Ref,
  from: RestoreProgress,
  show: (at: RestoreProgress) => void,
): Story<
  { kind: 'more'; progress: RestoreProgress } | { kind: 'written'; progress: RestoreProgress } | Failed | Stopped
> {
  let at = from
  for (let ranges = 0; ranges < rangesPerGeneration; ranges++) {
    show(at)
    const range = yield* untilReady(context, restoreRange, { ...ref, fromOffsetBytes: at.nextOffsetBytes })
    if (range.kind !== 'more' && range.kind !== 'written') return range
    at = { ...at, nextOffsetBytes: range.nextOffsetBytes, moved: plus(at.moved, range) }
    if (range.kind === 'written') return { kind: 'written', progress: at }
  }
  return { kind: 'more', progress: at }
}

/** `doneBytes` is the part of the disk that is done, `storedBytes` what had to be written for it: zeros need no write. */
const plus = (moved: Moved, range: { readonly nextOffsetBytes: number; readonly writtenBytes: number }): Moved => ({
  slicesDone: moved.slicesDone + 1,
  doneBytes: range.nextOffsetBytes,
  readBytes: moved.readBytes,
  storedBytes: moved.storedBytes + range.writtenBytes,
})

function* givenUp(context: OrchestrationContext, ref: Ref, why: Failed | Stopped): Story<DiskOutcome> {
  yield* untilReady(context, abandonRestoreDisk, ref)
  const reason = why.kind === 'failed' ? `${why.reason}: ${why.message}` : why.reason
  const hint = why.kind === 'failed' ? why.hint : null
  return { kind: why.kind, report: diskReport({ disk: ref.disk, kind: why.kind, reason, hint }) }
}

const shown = (phase: DiskProgress['phase'], at: RestoreProgress): DiskProgress => ({
  ...at.moved,
  phase,
  transfer: null,
  sizeBytes: at.sizeBytes,
  totalBytes: at.sizeBytes,
  slices: 0,
  lanes: 0,
})

const restored = (context: OrchestrationContext, ref: Ref, at: RestoreProgress): DiskOutcome => ({
  kind: 'transferred',
  report: diskReport({
    disk: ref.disk,
    kind: 'restored',
    sizeBytes: at.sizeBytes,
    storedPlainBytes: at.moved.storedBytes,
    milliseconds: millisecondsSince(context, at.startedAt),
  }),
})

registerStory(restoreDisk, restoreDiskStory)
