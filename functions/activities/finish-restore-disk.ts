import { finishPlannedDisk } from '../../shared/jobs/restore-planned-disk.ts'
import { finishRestoreDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the target disk: the footer is written before the upload ends, and noted. */
registerActivity(finishRestoreDisk, (deps, input) => finishPlannedDisk(deps, input))
