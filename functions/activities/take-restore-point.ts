import { takeSources } from '../../shared/jobs/take-sources.ts'
import { takeRestorePoint } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point: names are made from it, and what was taken is recorded once. */
registerActivity(
  takeRestorePoint,
  (deps, input) => takeSources(deps, input, 'restorePoints'),
  (events, { facts, outcome }) => {
    if (outcome.kind !== 'ready') return
    events.snapshotTaken({ ...facts, source: 'restorePoints', asked: outcome.asked, reached: outcome.consistency })
  },
)
