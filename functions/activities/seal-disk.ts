import { sealPlannedDisk } from '../../shared/jobs/seal-planned-disk.ts'
import { sealDisk } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the disk of the recovery point: the layer has one name. */
registerActivity(sealDisk, (deps, input) => sealPlannedDisk(deps, input))
