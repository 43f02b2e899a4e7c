import { closeJob } from '../../shared/jobs/close-job.ts'
import { closeSources } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent: access that has ended is ended. */
registerActivity(closeSources, (deps, input) => closeJob(deps, input))
