import { planVmRestore } from '../../shared/jobs/plan-vm-restore.ts'
import { planRestore } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the job. */
registerActivity(planRestore, (deps, input) => planVmRestore(deps, input))
