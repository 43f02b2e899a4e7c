import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { planBackup } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point: the first plan stays. */
registerActivity(planBackup, (deps, input) => planVmBackup(deps, input))
