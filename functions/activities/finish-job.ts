import { finishJob as endOfJob } from '../../shared/jobs/finish-job.ts'
import { finishJob } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the job: the first outcome stays; guarded by the claim's token. */
registerActivity(finishJob, (deps, input) => endOfJob(deps, input))
