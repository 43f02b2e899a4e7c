import type { InvocationContext } from '@azure/functions'
import type { DurableClient } from 'durable-functions'
import type { JobInstances } from '../shared/jobs/job-instances.ts'
import { type PolicySwept, startDueBackups } from '../shared/jobs/start-due-backups.ts'
import { safeMessage } from '../shared/jobs/step-failure.ts'
import { type Supervised, supervise } from '../shared/jobs/supervise.ts'
import { durableInstances } from './durable-instances.ts'
import { type Services, services } from './services.ts'

type Log = Pick<InvocationContext, 'error' | 'log' | 'warn'>

/** One run of the timer: looks after the jobs that run, then starts what is due. Repeatable at any time.
 * @throws ConfigurationError while the app is not set up */
export const sweep = (client: DurableClient, log: Log): Promise<void> =>
  sweepWith({ ...services(), instances: durableInstances(client) }, log)

/** The same over given parts. Supervision that fails does not keep due backups from being started. */
export const sweepWith = async (deps: Services & { readonly instances: JobInstances }, log: Log): Promise<void> => {
  const supervised = await supervise(deps).catch((error: unknown) => {
    log.error(`The running jobs could not be looked after: ${safeMessage(error)}`)
    return []
  })
  for (const one of supervised) tellSupervised(one, log)
  for (const policy of await startDueBackups(deps)) tellPolicy(policy, log)
}

const tellSupervised = (one: Supervised, log: Log): void => {
  if (one.kind === 'left') return
  if (one.kind === 'fault') log.error(`Job ${one.jobId} could not be looked after: ${one.message}`)
  else if (one.kind === 'gaveUp')
    log.error(`Job ${one.jobId} failed: ${one.attempt} attempts ended without an outcome.`)
  else log.warn(`Job ${one.jobId}: ${one.kind} (attempt ${one.attempt}).`)
}

const tellPolicy = ({ policy, slot, started, busy, faults }: PolicySwept, log: Log): void => {
  for (const jobId of started) log.log(`Policy ${policy}, slot ${slot}: started ${jobId}.`)
  for (const { vmKey, runningJobId } of busy) log.warn(`Policy ${policy}: ${vmKey} waits for ${runningJobId}.`)
  for (const fault of faults) log.error(`Policy ${policy}: ${fault}`)
}
