import { collectVault } from '../../shared/jobs/maintenance/collect-vault.ts'
import { collectGarbage } from '../contracts.ts'
import { registerMaintenance } from './maintenance-step.ts'

/** Idempotent by the pass: removing again finds nothing. */
registerMaintenance('collect', collectGarbage, (deps, step) => collectVault(deps, step))
