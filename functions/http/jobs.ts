import type { JobRecord } from '../../shared/domain/job.ts'
import { cancelJob } from '../../shared/jobs/cancel-job.ts'
import { recentJobs } from '../../shared/jobs/job-records.ts'
import { isUnfinished, jobStatus } from '../../shared/jobs/job-status.ts'
import { toldOutcome } from '../../shared/jobs/told-outcome.ts'
import type { Services } from '../services.ts'
import { type Endpoint, json } from './endpoint.ts'
import { idParameter, topParameter } from './parameters.ts'
import { notFound, ProblemError } from './problem.ts'
import { statusUrl } from './started-job.ts'

/** 404: no job of that id was ever started. */
export const unknownJob = (jobId: string) =>
  notFound('jobId', `There is no job ${jobId}.`, 'Take an id from the answer of a start, or from GET jobs.')

/** GET: one job, put together from its record and what its latest attempt shows. */
export const getJob: Endpoint = {
  name: 'getJob',
  route: 'jobs/{jobId}',
  methods: {
    GET: async ({ request, deps }) => {
      const jobId = idParameter(request, 'jobId')
      const status = await jobStatus(deps, jobId)
      if (status === null) throw unknownJob(jobId)
      return json(200, status, { 'cache-control': 'no-store' })
    },
  },
}

/** GET: the newest jobs first. */
export const listJobs: Endpoint = {
  name: 'listJobs',
  route: 'jobs',
  methods: {
    GET: async (call) => {
      const records = await recentJobs(call.deps.control, topParameter(call.request, 200, 50))
      const told = await Promise.all(records.map((record) => toldEnding(call.deps, record)))
      const jobs = records.map(({ job, startedAt, endedAt, outcome }, at) => ({
        jobId: job.jobId,
        kind: job.kind,
        vmKey: job.vmKey,
        recoveryPointId: job.recoveryPointId,
        requestedAt: job.requestedAt,
        startedAt,
        endedAt,
        state: outcome?.kind ?? 'running',
        ...told[at],
        statusUrl: statusUrl(call, job.jobId),
      }))
      return json(200, { jobs })
    },
  },
}

/** Code, reason and hint of a job that ended without what it was started for; null for any other. */
const toldEnding = async (deps: Pick<Services, 'control'>, { job, outcome }: JobRecord) => {
  const isDone = outcome === null || outcome.kind === 'completed'
  const told = isDone ? null : toldOutcome(job, outcome, await isUnfinished(deps, job))
  if (told === null || told.kind === 'completed') return { code: null, reason: null, hint: null }
  const { code, reason, hint } = told
  return { code, reason, hint }
}

/** POST: asks a job to stop. It ends as cancelled within seconds; what it wrote is kept. */
export const cancelRunningJob: Endpoint = {
  name: 'cancelJob',
  route: 'jobs/{jobId}/cancel',
  methods: {
    POST: async (call) => {
      const jobId = idParameter(call.request, 'jobId')
      const cancelled = await cancelJob(call.deps, jobId)
      if (cancelled.kind === 'unknown') throw unknownJob(jobId)
      if (cancelled.kind === 'ended')
        throw new ProblemError({
          status: 409,
          code: 'job-ended',
          title: 'The job has ended.',
          detail: `The job ended as ${cancelled.outcome.kind} before. Nothing was changed.`,
          errors: [{ field: 'jobId', detail: 'This job has ended.', fix: 'Cancel a job that runs; see GET jobs.' }],
        })
      return json(202, { jobId, stopping: 'cancelled', statusUrl: statusUrl(call, jobId) })
    },
  },
}
