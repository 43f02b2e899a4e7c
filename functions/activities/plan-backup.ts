import { beginVmBackup, planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { type BackupPlanOutcome, planBackup } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point: the first plan stays, the copies have one name and are recorded once. */
registerActivity(
  planBackup,
  (deps, { attempt, ...input }): Promise<BackupPlanOutcome> =>
    attempt === undefined ? planVmBackup(deps, input) : beginVmBackup(deps, { ...input, attempt }),
  (events, { facts, input: { job }, outcome }) => {
    if (outcome.kind !== 'planned' || outcome.sources?.kind !== 'ready') return
    const { asked, consistency } = outcome.sources
    events.snapshotTaken({ ...facts, source: job.source, asked, reached: consistency })
  },
)
