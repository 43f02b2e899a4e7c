import { requestStop } from '../../shared/jobs/stop.ts'
import { stopTransfers } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the job: the first reason stays. */
registerActivity(stopTransfers, async (deps, { jobId, reason }) => {
  await requestStop(deps.control, jobId, reason, deps.clock.now())
  return { kind: 'asked' }
})
