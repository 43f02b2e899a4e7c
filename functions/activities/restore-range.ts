import { writePlannedRange } from '../../shared/jobs/restore-planned-disk.ts'
import { restoreRange } from '../contracts.ts'
import { registerActivity } from '../services.ts'
import { restoreSlots } from '../transfer-slots.ts'

/** Idempotent: the same bytes go to the same place. */
registerActivity(restoreRange, (deps, input) => restoreSlots(() => writePlannedRange(deps, input)))
