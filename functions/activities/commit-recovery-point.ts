import { commitJob } from '../../shared/jobs/commit-job.ts'
import { commitRecoveryPoint } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point: its record is created once. */
registerActivity(
  commitRecoveryPoint,
  (deps, input) => commitJob(deps, input),
  (events, { facts, input, outcome }) => {
    if (outcome.kind !== 'committed') return
    const { consistency, storedBytes } = outcome
    events.recoveryPointCommitted({ ...facts, recoveryPointId: input.recoveryPointId, consistency, storedBytes })
  },
)
