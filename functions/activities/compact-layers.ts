import { compactVault } from '../../shared/jobs/maintenance/compact-vault.ts'
import { compactLayers } from '../contracts.ts'
import { registerMaintenance } from './maintenance-step.ts'

/** Repeatable: folds have names that follow from what is folded. */
registerMaintenance('compact', compactLayers, (deps, step) => compactVault(deps, step))
