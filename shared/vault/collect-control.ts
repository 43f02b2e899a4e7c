import { attemptsRoot, plansRoot, progressRoot } from '../format/names.ts'
import type { CallOptions, ControlStore } from '../ports/blob-store.ts'
import { inBatches } from './in-batches.ts'
import { dropIntent, type Intent } from './intents.ts'
import type { Reachability } from './reachability.ts'

const removalsAtOnce = 16
/** Objects that are removed even where there is no time, so that every call comes further. */
const removalsMin = 1000

/** Removes from the control container what jobs left that are over: plans, attempts, progress, and intents that a late twin wrote again: of a
 * backup after its recovery point was decided, of another job after it had ended. Of a compaction without an intent the marks that a late twin left.
 * @param reach knows the intents of this pass and, read later, all commit records
 * @returns objects removed, and whether it was cut short */
export const collectControl = async (
  control: ControlStore,
  reach: Reachability,
  {
    intents,
    objectsMax,
    hasTime = () => true,
    hasEnded = async () => false,
  }: {
    readonly intents: readonly Intent[]
    readonly objectsMax: number
    readonly hasTime?: () => boolean
    readonly hasEnded?: (jobId: string) => Promise<boolean>
  },
  options: CallOptions,
): Promise<{ readonly removed: number; readonly isCutShort: boolean }> => {
  let removed = 0
  const isSpent = () => removed >= objectsMax || (removed >= removalsMin && !hasTime())
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
  for (const root of [plansRoot, attemptsRoot, progressRoot]) {
    await inBatches(until(control.list(root, options), isSpent), removalsAtOnce, async ({ name }) => {
      const id = name.slice(root.length).split('/')[0] ?? ''
      if (!(await isOver(id))) return
      await control.remove(name, undefined, options)
      removed += 1
    })
    if (isSpent()) return { removed, isCutShort: true }
  }
  return { removed, isCutShort: false }
}

async function* until<Item>(items: AsyncIterable<Item>, isOver: () => boolean): AsyncGenerator<Item> {
  for await (const item of items) {
    if (isOver()) return
    yield item
  }
}

/** Names below one id follow each other: the last answer is enough to remember. */
const remembering = (ask: (id: string) => Promise<boolean>): ((id: string) => Promise<boolean>) => {
  let last: { readonly id: string; readonly answer: Promise<boolean> } | null = null
  return (id) => {
    if (last?.id !== id) last = { id, answer: ask(id) }
    return last.answer
  }
}
