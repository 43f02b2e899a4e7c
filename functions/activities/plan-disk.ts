import { planDiskTransfer } from '../../shared/jobs/plan-disk-transfer.ts'
import { planDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'
import { leanly } from '../transfer-slots.ts'

/** Idempotent by the disk of the recovery point: the first plan stays. */
registerActivity(planDisk, (deps, input) => leanly(() => planDiskTransfer(deps, input)))
