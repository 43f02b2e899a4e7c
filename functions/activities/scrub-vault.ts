import { scrubWithinBudget } from '../../shared/jobs/maintenance/scrub-vault.ts'
import { scrubVault } from '../contracts.ts'
import { registerMaintenance } from './maintenance-step.ts'

/** Repeatable: it only reads, and notes what it found. */
registerMaintenance('scrub', scrubVault, (deps, step) => scrubWithinBudget(deps, step))
