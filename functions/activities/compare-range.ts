import { comparePlannedRange } from '../../shared/jobs/compare-planned-range.ts'
import { compareRange } from '../contracts.ts'
import { registerActivity } from '../services.ts'
import { slotsOfComparison, transferSlots } from '../transfer-slots.ts'

/** Idempotent: it changes nothing. It holds as much as a restore does. */
registerActivity(compareRange, (deps, input) =>
  transferSlots(() => comparePlannedRange(deps, input), slotsOfComparison),
)
