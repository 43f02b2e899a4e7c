import type { Failed } from './job-ref.ts'

/** What a maintenance pass does with the vault, in this order. Recovery points end by their policies' retention; layers are folded, so that
 * restores stay short; what nothing needs any more is removed; then stored objects are checked, the longest unchecked first. */
export const maintenanceStages = ['expire', 'compact', 'collect', 'scrub'] as const

/** One of the stages, by its name. */
export type MaintenanceStage = (typeof maintenanceStages)[number]

/** How many days the record of a job that has ended is kept where no setting says it: a year's jobs can be compared with those of the year before. */
export const jobDaysDefault = 400

/** What a pass did so far; each stage adds to its own. */
export interface MaintenanceCounts {
  /** Recovery points that ended. */
  readonly expired: number
  /** Layers that were folded into others. */
  readonly folded: number
  /** Stored bytes that were written again: moved out of sparse segments, or gathered from sparse frames. */
  readonly rewrittenBytes: number
  /** Objects that were removed. */
  readonly removed: number
  /** Objects that nothing needs and that the store keeps for now: immutability, or a tier's minimum time. */
  readonly retained: number
  /** Stored bytes that were read and proven. */
  readonly checkedBytes: number
  /** Damages that were found and were not known. */
  readonly damaged: number
  /** Indexes that were damaged or lost and are whole again. */
  readonly rebuilt: number
}

/** The counts of a pass that has only begun. */
export const nothingMaintained: MaintenanceCounts = {
  expired: 0,
  folded: 0,
  rewrittenBytes: 0,
  removed: 0,
  retained: 0,
  checkedBytes: 0,
  damaged: 0,
  rebuilt: 0,
}

/** The counts with what one more step did. */
export const plusCounts = (counts: MaintenanceCounts, more: Partial<MaintenanceCounts>): MaintenanceCounts => {
  // A pass that an earlier release began may not count everything.
  const sum = (name: keyof MaintenanceCounts): number => (counts[name] ?? 0) + (more[name] ?? 0)
  return {
    expired: sum('expired'),
    folded: sum('folded'),
    rewrittenBytes: sum('rewrittenBytes'),
    removed: sum('removed'),
    retained: sum('retained'),
    checkedBytes: sum('checkedBytes'),
    damaged: sum('damaged'),
    rebuilt: sum('rebuilt'),
  }
}

/** Something that a step could not do. */
export interface StepProblem extends Omit<Failed, 'kind'> {
  /** Names of all the objects that stand in the way, at most `objectsMax`: once all are mended there is no problem. Absent: that does not end it. */
  readonly objects?: readonly string[]
}

/** Names of objects that one problem has, and mended objects that one step tells. */
export const objectsMax = 100

/** An object that was damaged or gone when the pass came upon it, and that the pass made whole again. */
export interface Mended {
  readonly name: string
  /** What was wrong with it. */
  readonly code: string
  readonly vmKey: string
  /** How many recovery points could not be restored whole because of it. */
  readonly recoveryPoints: number
  /** The first few of them. */
  readonly recoveryPointIds: readonly string[]
}

/** Something that a stage could not do. The rest goes on. */
export interface MaintenanceProblem extends StepProblem {
  readonly stage: MaintenanceStage
}

/** What a pass ended with. */
export interface MaintenanceOutcome {
  readonly kind: 'completed' | 'incomplete'
  readonly counts: MaintenanceCounts
  /** What stays as it is; empty where the pass is complete; at most 20. */
  readonly problems: readonly MaintenanceProblem[]
  /** What the pass itself made whole, at most 20; absent where it is nothing. */
  readonly mended?: readonly Mended[]
}

/** Names of mended objects that a problem tells. */
const namesMax = 3

/** The problems that stay once something was mended: those of which every object is whole are none; those of which some are say so. */
export const standing = <Problem extends StepProblem>(
  problems: readonly Problem[],
  mended: readonly Pick<Mended, 'name'>[],
): readonly Problem[] => {
  const whole = new Set(mended.map(({ name }) => name))
  return problems.flatMap((problem) => {
    const cured = problem.objects?.filter((name) => whole.has(name)) ?? []
    if (problem.objects === undefined || cured.length === 0) return problem
    const objects = problem.objects.filter((name) => !whole.has(name))
    if (objects.length === 0) return []
    const names = cured.slice(0, namesMax).join(', ') + (cured.length > namesMax ? ' and more' : '')
    return { ...problem, objects, message: `${problem.message} Mended since: ${names}.` }
  })
}

/** What one pass is asked to do. */
export interface MaintenancePass {
  readonly passId: string
  /** ISO time. What was checked last before it is checked again, be it lately; absent: only what was not checked for long. */
  readonly recheckBefore?: string
}

/** One bounded step of a stage. `cursor`: where the stage goes on; null at its start. */
export interface MaintenanceStep extends MaintenancePass {
  readonly cursor: string | null
}

/** `counts`: what this step did. `problems`: what it had to leave out, the first few. `mended`: what it made whole, the first `objectsMax`. `cursor` is short: it is kept in the history. */
export type MaintenanceStepOutcome =
  | (StepDone & { readonly kind: 'more'; readonly cursor: string })
  | (StepDone & { readonly kind: 'done' })
  | Failed

interface StepDone {
  readonly counts: Partial<MaintenanceCounts>
  readonly problems?: readonly StepProblem[]
  readonly mended?: readonly Mended[]
}
