import { requestStop } from '../../shared/jobs/stop.ts'
import { stopTransfers } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the job: the first reason stays. */
registerActivity(stopTransfers, async (deps, { reason, ...ref }) => {
  await requestStop(deps.control, ref, reason)
  return { kind: 'asked' }
})
