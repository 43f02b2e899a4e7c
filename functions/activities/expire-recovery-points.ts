import { expireVault } from '../../shared/jobs/maintenance/expire-vault.ts'
import { expireRecoveryPoints } from '../contracts.ts'
import { registerMaintenance } from './maintenance-step.ts'

/** Repeatable: an expiry is a revision that is created once. */
registerMaintenance('expire', expireRecoveryPoints, (deps, step) => expireVault(deps, step))
