import { releaseSources } from '../../shared/jobs/release-sources.ts'
import { releaseRestorePoints } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the recovery point that is kept; guarded by the claim's token. */
registerActivity(
  releaseRestorePoints,
  (deps, input) => releaseSources(deps, input),
  (events, { facts, outcome }) => {
    if (outcome.kind === 'released') events.sourcesReleased({ ...facts, removed: outcome.removed })
  },
)
