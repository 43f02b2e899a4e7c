import { commitJob } from '../../shared/jobs/commit-job.ts'
import { commitRecoveryPoint } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point: its record is created once. */
registerActivity(commitRecoveryPoint, (deps, input) => commitJob(deps, input))
