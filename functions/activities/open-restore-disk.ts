import { openPlannedDisk } from '../../shared/jobs/restore-planned-disk.ts'
import { openRestoreDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the target disk, which carries the job's mark. */
registerActivity(openRestoreDisk, (deps, input) => openPlannedDisk(deps, input))
