import { concludeBackup as endOfBackup } from '../../shared/jobs/conclude-backup.ts'
import { concludeBackup } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point: its record is created once, and so is the job's; fenced by the claim's token. */
registerActivity(
  concludeBackup,
  (deps, input) => endOfBackup(deps, input),
  (events, { facts, input: { recoveryPointId, outcome: ended }, outcome }) => {
    if (outcome.kind === 'failed') return
    const { consistency, storedBytes } = outcome
    events.recoveryPointCommitted({ ...facts, recoveryPointId, consistency, storedBytes })
    if (outcome.kind !== 'concluded') return
    events.sourcesReleased({ ...facts, removed: outcome.removed })
    events.jobEnded({ ...facts, outcome: ended.kind, milliseconds: outcome.milliseconds })
  },
)
