import type { DiskRef, Failed, Stopped } from '../../shared/domain/job-ref.ts'
import type { Moved } from '../../shared/domain/progress.ts'
import { type LaneInput, type LaneOutcome, type SliceOutcome, transferLane, transferSlice } from '../contracts.ts'
import { continueAs, type OrchestrationContext, registerStory, type Story, status, untilReady } from '../durable.ts'

/** Slices in one history: some 300 events, which replay in milliseconds. */
export const slicesPerGeneration = 50

/** One lane of a large disk: every n-th slice, one after another. Its history is emptied before it grows long. */
export function* transferLaneStory(context: OrchestrationContext, lane: LaneInput): Story<LaneOutcome | undefined> {
  const { next, lanes, slices, moved, lane: _lane, ...ref } = lane
  const taken = yield* eachSlice(context, ref, { next, lanes, slices, moved }, (soFar) => status(context, soFar))
  if (taken.kind !== 'more') return taken
  return continueAs(context, transferLane, { ...lane, next: taken.next, moved: taken.moved })
}

/** Which slices to take: `next`, `next + lanes`, … below `slices`; `moved` before the first of them. */
export type Turn = Pick<LaneInput, 'next' | 'lanes' | 'slices' | 'moved'>

/** Transfers slice after slice. Stops at the first that is stopped or fails; ends with `more` after as many as one history bears. */
export function* eachSlice(
  context: OrchestrationContext,
  ref: DiskRef,
  turn: Turn,
  show: (moved: Moved) => void,
): Story<{ kind: 'transferred'; moved: Moved } | { kind: 'more'; next: number; moved: Moved } | Stopped | Failed> {
  let { next, moved } = turn
  show(moved)
  for (let taken = 0; next < turn.slices; taken++, next += turn.lanes) {
    if (taken === slicesPerGeneration) return { kind: 'more', next, moved }
    const slice = yield* untilReady(context, transferSlice, { ...ref, slice: next })
    if (slice.kind !== 'transferred') return slice
    moved = plus(moved, slice)
    show(moved)
  }
  return { kind: 'transferred', moved }
}

const plus = (moved: Moved, slice: SliceOutcome & { readonly kind: 'transferred' }): Moved => ({
  slicesDone: moved.slicesDone + 1,
  doneBytes: moved.doneBytes + slice.changedBytes,
  readBytes: moved.readBytes + slice.readBytes,
  storedBytes: moved.storedBytes + slice.storedBytes,
})

registerStory(transferLane, transferLaneStory)
