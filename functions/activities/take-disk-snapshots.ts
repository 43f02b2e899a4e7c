import { takeSources } from '../../shared/jobs/take-sources.ts'
import { takeDiskSnapshots } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point: names are made from it, and what was taken is recorded once. */
registerActivity(
  takeDiskSnapshots,
  (deps, input) => takeSources(deps, input, 'diskSnapshots'),
  (events, { facts, outcome }) => {
    if (outcome.kind !== 'ready') return
    events.snapshotTaken({ ...facts, source: 'diskSnapshots', asked: outcome.asked, reached: outcome.consistency })
  },
)
