import { planDiskTransfer } from '../../shared/jobs/plan-disk-transfer.ts'
import { planDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the disk of the recovery point: the first plan stays. */
registerActivity(planDisk, (deps, input) => planDiskTransfer(deps, input))
