import { attemptsRoot, plansRoot, progressRoot } from '../format/names.ts'
import type { CallOptions, ControlStore } from '../ports/blob-store.ts'
import { inBatches } from './in-batches.ts'
import { dropIntent, type Intent } from './intents.ts'
import type { Reachability } from './reachability.ts'

const removalsAtOnce = 16

/** Removes from the control container what jobs left that are over: plans, attempts, progress, and intents that a late twin wrote again: of a
 * backup after its recovery point was decided, of another job after it had ended. Of a compaction without an intent the marks that a late twin left.
 * @param reach knows the intents of this pass and, read later, all commit records
 * @returns objects removed */
export const collectControl = async (
  control: ControlStore,
  reach: Reachability,
  {
    intents,
    hasEnded = async () => false,
  }: { readonly intents: readonly Intent[]; readonly hasEnded?: (jobId: string) => Promise<boolean> },
  options: CallOptions,
): Promise<number> => {
  let removed = 0
  for (const { kind, id } of intents) {
    const state = reach.points.get(id)?.state
    const isDecided = state !== undefined && state !== 'unreadable'
    if (!(kind === 'backup' ? isDecided : await hasEnded(id))) continue
    await dropIntent(control, id, options)
    removed += 1
  }
  const isOver = remembering(async (id) => {
    if (reach.protectedIds.has(id)) return false
    if (reach.compactions.has(id)) return true
    const state = reach.points.get(id)?.state
    return state === undefined ? hasEnded(id) : state !== 'unreadable'
  })
  for (const root of [plansRoot, attemptsRoot, progressRoot])
    await inBatches(control.list(root, options), removalsAtOnce, async ({ name }) => {
      const id = name.slice(root.length).split('/')[0] ?? ''
      if (!(await isOver(id))) return
      await control.remove(name, undefined, options)
      removed += 1
    })
  return removed
}

/** Names below one id follow each other: the last answer is enough to remember. */
const remembering = (ask: (id: string) => Promise<boolean>): ((id: string) => Promise<boolean>) => {
  let last: { readonly id: string; readonly answer: Promise<boolean> } | null = null
  return (id) => {
    if (last?.id !== id) last = { id, answer: ask(id) }
    return last.answer
  }
}
