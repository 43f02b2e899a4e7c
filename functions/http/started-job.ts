import type { Claim } from '../../shared/domain/job.ts'
import type { StartOutcome } from '../../shared/jobs/start-job.ts'
import type { Call } from './endpoint.ts'
import { ProblemError } from './problem.ts'

/** What a caller gets for a job that was started: our own status URL, and the URLs of the Durable management API. */
export interface StartedJob {
  readonly jobId: string
  readonly instanceId: string
  readonly statusUrl: string
  readonly [durableUrl: string]: unknown
}

/** @param started outcome `started` of startJob */
export const startedJob = async (
  call: Call,
  started: StartOutcome & { readonly kind: 'started' },
  job: { readonly kind: string; readonly vmKey: string },
): Promise<StartedJob> => {
  const { kind, vmKey } = job
  call.events.jobStarted({ jobId: started.jobId, vmKey, attempt: 1, kind, trigger: 'onDemand' })
  const management = await call.management(started.instanceId)
  return {
    jobId: started.jobId,
    instanceId: started.instanceId,
    statusUrl: statusUrl(call, started.jobId),
    ...management,
  }
}

/** The URL of `GET job`, below the same prefix as the address that was called. */
export const statusUrl = ({ request }: Pick<Call, 'request'>, jobId: string): string => {
  const { origin, pathname } = new URL(request.url)
  const prefix = pathname.replace(/\/(backups|restores|jobs|vms)(\/.*)?$/, '')
  return `${origin}${prefix}/jobs/${jobId}`
}

/** 409: another job holds the VM. Names it. */
export const busyProblem = (call: Call, running: Claim): ProblemError => {
  const { jobId, vmKey } = running.job
  call.events.jobRefused({ vmKey, runningJobId: jobId })
  return new ProblemError({
    status: 409,
    code: 'job-running',
    title: 'A job is running for this VM.',
    detail: `The job ${jobId} holds this VM. Wait for it, or cancel it, then start again.`,
    hint: 'Wait for the running job, or cancel it, then start again.',
    more: { runningJobId: jobId, statusUrl: statusUrl(call, jobId) },
  })
}

/** Headers of a 202: where to look, and when. */
export const acceptedHeaders = (job: StartedJob): Record<string, string> => ({
  location: String(job.statusQueryGetUri ?? job.statusUrl),
  'retry-after': '10',
})
