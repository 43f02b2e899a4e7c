import {
  jobDaysDefault,
  type MaintenanceCounts,
  type MaintenanceStep,
  type MaintenanceStepOutcome,
  nothingMaintained,
  objectsMax as objectsToldMax,
  plusCounts,
  type StepProblem,
} from '../../domain/maintenance.ts'
import type { VaultStore } from '../../ports/blob-store.ts'
import { type Collected, collectGarbage } from '../../vault/collect-garbage.ts'
import type { JobDeps } from '../job-deps.ts'
import { readJobRecord } from '../job-records.ts'
import { ControlObjectError } from '../json-object.ts'
import { collectJobs } from './collect-jobs.ts'
import { stepMilliseconds } from './each-vm.ts'
import { endOrphans } from './end-orphans.ts'
import { markVault } from './mark-vault.ts'

/** Objects that one step removes: minutes, at a few hundred requests a second. */
const objectsMax = 50_000
/** Records of jobs that one pass looks at: minutes. */
const jobRecordsMax = 20_000

type CollectDeps = Pick<JobDeps, 'control' | 'clock'> & { readonly vault: VaultStore; readonly jobDays?: number }

/** Removes what nothing needs any more, from both containers, in parts that each end in time: marks what the VMs need, VM by VM; removes what
 * none of them does; last the records of jobs that ended long ago. Key: the pass, which a repeated step takes up.
 * @param deps `jobDays`: see CollectJobsRequest; absent: 400 */
export const collectVault = async (deps: CollectDeps, step: MaintenanceStep): Promise<MaintenanceStepOutcome> => {
  const beganAt = deps.clock.now().getTime()
  const workedMs = () => deps.clock.now().getTime() - beganAt
  const parts = partsOf(deps, step.passId, () => workedMs() <= stepMilliseconds)
  let at: string | null = step.cursor ?? marking
  let counts = nothingMaintained
  const problems: StepProblem[] = []
  do {
    const part: PartDone = await parts.next(at)
    counts = plusCounts(counts, part.counts)
    problems.push(...part.problems)
    at = part.next
    if (!part.isWhole) break
  } while (at !== null && workedMs() < anotherPartWithinMs)
  const unread = parts.unread().slice(0, namesMax).map(unreadJob)
  const done = { counts, problems: [...problems, ...unread] }
  return at === null ? { kind: 'done', ...done } : { kind: 'more', cursor: at, ...done }
}

/** What begins the cursor of each part. Whatever else there is, as of a pass that an earlier release began, goes on with the removal. */
const marking = 'mark:'
const removal = 'remove:'
const jobRecords = 'jobs:'

/** A step that has worked for less begins another part. */
const anotherPartWithinMs = 30_000

interface PartDone {
  readonly counts: Partial<MaintenanceCounts>
  readonly problems: readonly StepProblem[]
  /** False where more of the same part is left for the next step: what this one holds in memory is given up first. */
  readonly isWhole: boolean
  /** Cursor of what is to be done next; null at the stage's end. */
  readonly next: string | null
}

const partsOf = (deps: CollectDeps, passId: string, hasTime: () => boolean) => {
  /** By what they say, which names the record. */
  const unread = new Map<string, ControlObjectError>()
  const hasEnded = async (jobId: string): Promise<boolean> => {
    try {
      return ((await readJobRecord(deps.control, jobId))?.outcome ?? null) !== null
    } catch (error) {
      if (!(error instanceof ControlObjectError)) throw error
      unread.set(error.message, error)
      return false
    }
  }
  const mark = async (after: string): Promise<PartDone> => {
    const outcome = await markVault(deps, after === '' ? null : after)
    const isWhole = outcome.kind === 'done'
    return { ...outcome, isWhole, next: isWhole ? removal : `${marking}${outcome.cursor}` }
  }
  const remove = async (from: string | null): Promise<PartDone> => {
    if (from === null) await endOrphans(deps)
    const collected = await collectGarbage(deps, { passId, objectsMax, hasTime, from, hasEnded })
    const { removed, retained, early } = collected.swept
    const counts = { removed: removed + collected.removedFromControl, retained: retained + early }
    const next = collected.at === null ? jobRecords : `${removal}${collected.at}`
    return { counts, problems: problemsOf(collected), isWhole: collected.at === null, next }
  }
  const endJobs = async (): Promise<PartDone> => {
    const jobs = await collectJobs(deps, { jobDays: deps.jobDays ?? jobDaysDefault, recordsMax: jobRecordsMax })
    for (const error of jobs.unreadable) unread.set(error.message, error)
    return { counts: { removed: jobs.removed }, problems: [], isWhole: true, next: null }
  }
  return {
    next: (at: string): Promise<PartDone> => {
      if (at.startsWith(marking)) return mark(at.slice(marking.length))
      if (at === jobRecords) return endJobs()
      return remove(at.startsWith(removal) && at !== removal ? at.slice(removal.length) : null)
    },
    unread: () => [...unread.values()],
  }
}

/** Names that are told of those that cannot be read. */
const namesMax = 3

/** What such a job left stays until its record is readable or gone. */
const unreadJob = ({ message }: ControlObjectError): StepProblem => ({
  reason: 'unreadable-job-record',
  message,
  hint: 'What the job left in the control container is kept until then; nothing else waits for it.',
})

const problemsOf = ({ unreadable, lostRecords }: Collected): readonly StepProblem[] => {
  const namesOf = (isSuperseded: boolean): readonly string[] => [
    ...new Set(unreadable.flatMap((one) => (one.isSuperseded === isSuperseded ? one.name : []))),
  ]
  return [
    ...unreadableProblem(namesOf(false), {
      reason: 'unreadable-objects',
      hint: 'The last stage of this pass rebuilds lost indexes from their segments; what is whole by then stands in `mended` and not here. See GET damage for what is left: bring it back from soft delete or an earlier version, or give up the recovery points that it touches, and no others, by POST vms/{vmKey}/recovery-points/{recoveryPointId}/expire.',
    }),
    ...unreadableProblem(namesOf(true), {
      reason: 'unreadable-older-revisions',
      hint: 'Their recovery points restore by a later revision that is whole: nothing is lost, and nothing is to be done. Once the jobs that use these recovery points have ended, a pass removes again what nothing needs.',
    }),
    ...lostRecordsProblem(lostRecords),
  ]
}

const lostRecordsProblem = (ids: readonly string[]): readonly StepProblem[] => {
  if (ids.length === 0) return []
  const shown = ids.slice(0, namesMax).join(', ')
  return [
    {
      reason: 'lost-commit-records',
      message: `${ids.length === 1 ? '1 recovery point has' : `${ids.length} recovery points have`} layers and no commit record: ${shown}${ids.length > namesMax ? ' and more' : ''}. What belongs to them is kept.`,
      hint: 'Bring recovery-points/{vmKey}/{recoveryPointId}/0001.json back from soft delete or an earlier version; GET jobs tells which VM it was. Or give the recovery point up by POST vms/{vmKey}/recovery-points/{recoveryPointId}/expire.',
    },
  ]
}

const unreadableProblem = (
  names: readonly string[],
  { reason, hint }: Pick<StepProblem, 'reason' | 'hint'>,
): readonly StepProblem[] => {
  if (names.length === 0) return []
  const count = names.length === 1 ? '1 object' : `${names.length} objects`
  const shown = names.slice(0, namesMax).join(', ')
  return [
    {
      reason,
      message: `${count} cannot be read: ${shown}${names.length > namesMax ? ' and more' : ''}. What may be named there is kept.`,
      hint,
      ...(names.length > objectsToldMax ? {} : { objects: names }),
    },
  ]
}
