import type { MaintenanceStep, MaintenanceStepOutcome, StepProblem } from '../../domain/maintenance.ts'
import type { VaultStore } from '../../ports/blob-store.ts'
import { type Collected, collectGarbage } from '../../vault/collect-garbage.ts'
import type { JobDeps } from '../job-deps.ts'
import { readJobRecord } from '../job-records.ts'
import { ControlObjectError } from '../json-object.ts'

/** Objects that one step removes: minutes, at a few hundred requests a second. */
const objectsMax = 50_000

/** Removes what nothing needs any more, from both containers. Key: the pass, which a repeated step takes up. */
export const collectVault = async (
  deps: Pick<JobDeps, 'control' | 'clock'> & { readonly vault: VaultStore },
  { passId }: MaintenanceStep,
): Promise<MaintenanceStepOutcome> => {
  const unread = new Map<string, ControlObjectError>()
  const hasEnded = async (jobId: string): Promise<boolean> => {
    try {
      return ((await readJobRecord(deps.control, jobId))?.outcome ?? null) !== null
    } catch (error) {
      if (!(error instanceof ControlObjectError)) throw error
      unread.set(jobId, error)
      return false
    }
  }
  const collected = await collectGarbage(deps, { passId, objectsMax, hasEnded })
  const { removed, retained, early } = collected.swept
  const done = {
    counts: { removed: removed + collected.removedFromControl, retained: retained + early },
    problems: [...problemsOf(collected), ...[...unread.values()].slice(0, namesMax).map(unreadJob)],
  }
  return collected.kind === 'more' ? { kind: 'more', cursor: passId, ...done } : { kind: 'done', ...done }
}

/** Names that are told of those that cannot be read. */
const namesMax = 3

/** What such a job left stays until its record is readable or gone. */
const unreadJob = ({ message }: ControlObjectError): StepProblem => ({
  reason: 'unreadable-job-record',
  message,
  hint: 'What the job left in the control container is kept until then; nothing else waits for it.',
})

const problemsOf = ({ unreadable }: Collected): readonly StepProblem[] => {
  if (unreadable.length === 0) return []
  const names = unreadable.slice(0, namesMax).map(({ name }) => name)
  return [
    {
      reason: 'unreadable-objects',
      message: `${unreadable.length} objects cannot be read, among them ${names.join(', ')}. What they may name is kept.`,
      hint: 'See GET damage. Bring the objects back from soft delete or an earlier version, or end the recovery points that need them by POST vms/{vmKey}/recovery-points/{recoveryPointId}/expire.',
    },
  ]
}
