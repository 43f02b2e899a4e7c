import type { DurableClient } from 'durable-functions'
import { forEachBounded } from '../shared/jobs/for-each-bounded.ts'
import type { JobInstances } from '../shared/jobs/job-instances.ts'
import { jobStatus } from '../shared/jobs/job-status.ts'
import { type PolicySwept, startDueBackups } from '../shared/jobs/start-due-backups.ts'
import { safeMessage } from '../shared/jobs/step-failure.ts'
import { type Supervised, supervise } from '../shared/jobs/supervise.ts'
import { durableInstances } from './durable-instances.ts'
import { ConfigurationError, type Services, services } from './services.ts'
import { type Events, eventsIn, type Log } from './told-events.ts'

type SweepDeps = Services & { readonly instances: JobInstances }

/** One run of the timer: looks after the jobs that run, then starts what is due. Repeatable at any time.
 * @throws ConfigurationError while the app is not set up */
export const sweep = async (client: DurableClient, log: Log): Promise<void> => {
  try {
    await sweepWith({ ...services(), instances: durableInstances(client) }, log)
  } catch (error) {
    if (error instanceof ConfigurationError) tellRefused(error, log)
    throw error
  }
}

const tellRefused = ({ problems }: ConfigurationError, log: Log): void => {
  const settings = problems.map(({ setting }) => setting).join(', ')
  eventsIn(log).configurationRefused({ settings, problems: problems.length })
}

/** The same over given parts. Supervision that fails does not keep due backups from being started. */
export const sweepWith = async (deps: SweepDeps, log: Log): Promise<void> => {
  const events = eventsIn(log)
  const supervised = await supervise(deps).catch((error: unknown) => {
    log.error(`The running jobs could not be looked after: ${safeMessage(error)}`)
    return []
  })
  for (const one of supervised) tellSupervised(one, events, log)
  const policies = await startDueBackups(deps)
  for (const policy of policies) tellPolicy(policy, events, log)
  await warnOfWindows(deps, supervised, events)
  events.sweepEnded({
    started: policies.reduce((sum, { started }) => sum + started.length, 0),
    running: supervised.filter(({ kind }) => kind === 'left').length,
    restarted:
      supervised.filter(({ kind }) => kind === 'retried' || kind === 'started').length +
      policies.reduce((sum, { resumed }) => sum + resumed.length, 0),
  })
}

const tellSupervised = (one: Supervised, events: Events, log: Log): void => {
  if (one.kind === 'fault') log.error(`Job ${one.jobId} could not be looked after: ${one.message}`)
  if (one.kind === 'retried') events.jobTakenUp(one)
  if (one.kind === 'finished') events.jobEnded({ ...one, outcome: 'completed' })
  if (one.kind === 'gaveUp') {
    const hint = 'Look at its instances in the Durable Functions views, then start it again.'
    events.jobFailed({ ...one, outcome: 'failed', reason: 'attempts-exhausted', hint })
  }
}

/** Jobs whose progress is read at the same time. */
const readsAtOnce = 8

/** An alert before a window is missed, not after. It comes last: many running jobs must not keep due backups waiting. */
const warnOfWindows = async (deps: SweepDeps, supervised: readonly Supervised[], events: Events): Promise<void> => {
  const running = supervised.filter(({ kind }) => kind === 'left')
  await forEachBounded(running, readsAtOnce, async ({ jobId }) => {
    const status = await jobStatus(deps, jobId).catch(() => null)
    if (status === null || status.deadline === null || status.expectedEndAt === null) return
    if (Date.parse(status.expectedEndAt) <= Date.parse(status.deadline)) return
    const { vmKey, attempt, deadline, expectedEndAt } = status
    events.windowAtRisk({ jobId, vmKey, attempt, deadline, expectedEnd: expectedEndAt })
  })
}

const tellPolicy = ({ policy, started, resumed, busy, faults }: PolicySwept, events: Events, log: Log): void => {
  for (const job of started) events.jobStarted({ ...job, attempt: 1, kind: 'backup', trigger: 'schedule' })
  for (const job of resumed) events.jobTakenUp(job)
  for (const { vmKey, runningJobId } of busy) events.jobRefused({ vmKey, runningJobId })
  for (const fault of faults) log.error(`Policy ${policy}: ${fault}`)
}
