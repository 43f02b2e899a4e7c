import { finishJob as endOfJob } from '../../shared/jobs/finish-job.ts'
import { finishJob } from '../contracts.ts'
import { registerActivity } from '../services.ts'

/** Idempotent by the job: the first outcome stays; guarded by the claim's token. */
registerActivity(
  finishJob,
  (deps, input) => endOfJob(deps, input),
  (events, { facts, input: { outcome: ended }, outcome }) => {
    if (outcome.kind !== 'finished') return
    if (ended.kind === 'completed')
      events.jobEnded({ ...facts, outcome: ended.kind, milliseconds: outcome.milliseconds })
    else events.jobFailed({ ...facts, outcome: ended.kind, reason: ended.reason, hint: ended.hint })
  },
)
