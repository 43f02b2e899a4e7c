import type { Job } from '../../shared/domain/job.ts'
import { type ResumeOutcome, resumeJob } from '../../shared/jobs/resume-job.ts'
import { type Call, type Endpoint, json } from './endpoint.ts'
import { unknownJob } from './jobs.ts'
import { idParameter } from './parameters.ts'
import { ProblemError } from './problem.ts'
import { acceptedHeaders, busyProblem, statusUrl } from './started-job.ts'

/** POST: lets a backup go on that ended without a commit, as long as the platform has its copies of the disks. */
export const resumeEndedJob: Endpoint = {
  name: 'resumeJob',
  route: 'jobs/{jobId}/resume',
  methods: {
    POST: async (call) => {
      const jobId = idParameter(call.request, 'jobId')
      const resumed = await resumeJob(call.deps, jobId)
      if (resumed.kind === 'unknown') throw unknownJob(jobId)
      if (resumed.kind === 'busy') throw busyProblem(call, resumed.running)
      if (resumed.kind === 'running') throw runningProblem(call, jobId)
      if (resumed.kind === 'impossible') throw notResumable(resumed)
      call.events.jobTakenUp(resumed)
      const { instanceId, attempt, vmKey } = resumed
      const job = { jobId, instanceId, statusUrl: statusUrl(call, jobId), ...(await call.management(instanceId)) }
      return json(202, { ...job, vmKey, attempt }, acceptedHeaders(job))
    },
  },
}

const runningProblem = (call: Call, jobId: string): ProblemError =>
  new ProblemError({
    status: 409,
    code: 'job-not-ended',
    title: 'The job has not ended.',
    detail: `The job ${jobId} runs, or is about to. Nothing was changed; follow it by GET job.`,
    hint: 'Follow it by GET jobs/{jobId}, or cancel it first.',
    more: { statusUrl: statusUrl(call, jobId) },
  })

/** What to do instead. */
const insteadOf = {
  backup: 'Start a new backup by POST backups.',
  restore: 'Start the restore again by POST restores.',
  comparison: 'Start the comparison again by POST vms/{vmKey}/recovery-points/{recoveryPointId}/compare.',
} as const satisfies Record<Job['kind'], string>

const notResumable = ({ why, jobKind }: ResumeOutcome & { readonly kind: 'impossible' }): ProblemError =>
  new ProblemError({
    status: 410,
    code: 'job-not-resumable',
    title: 'The job cannot go on.',
    detail: `${why} Nothing was changed.`,
    errors: [{ field: 'jobId', detail: why, fix: insteadOf[jobKind] }],
  })
