import type { MaintenanceStage, MaintenanceStep, MaintenanceStepOutcome } from '../../shared/domain/maintenance.ts'
import type { Activity } from '../contracts.ts'
import { registerStep, type Services } from '../services.ts'
import { eventsIn } from '../told-events.ts'

/** Registers one stage's step; its counts become an event. */
export const registerMaintenance = (
  stage: MaintenanceStage,
  activity: Activity<MaintenanceStep, MaintenanceStepOutcome>,
  step: (deps: Services, input: MaintenanceStep) => Promise<MaintenanceStepOutcome>,
): void =>
  registerStep(activity, step, (context, { passId }, outcome) => {
    if (outcome.kind === 'failed') return
    const events = eventsIn(context)
    events.vaultMaintained({ passId, stage, ...outcome.counts })
    const { damaged = 0 } = outcome.counts
    if (damaged > 0) events.damageFound({ passId, damaged })
  })
