import { abandonPlannedDisk } from '../../shared/jobs/restore-planned-disk.ts'
import { abandonRestoreDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent: an upload that has ended is ended. */
registerActivity(abandonRestoreDisk, (deps, input) => abandonPlannedDisk(deps, input))
