import { planComparison as planOf } from '../../shared/jobs/plan-comparison.ts'
import { planComparison } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the job. */
registerActivity(planComparison, (deps, input) => planOf(deps, input))
