import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { JobOutcome } from '../../shared/domain/job.ts'

const run = promisify(execFile)

const curl = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
  const { stdout } = await run('curl', ['--silent', '--show-error', '--fail-with-body', ...args])
  return JSON.parse(stdout) as Record<string, unknown>
}

export interface EndedJob {
  /** What the app answered when the job was accepted. */
  readonly accepted: Readonly<Record<string, unknown>>
  readonly outcome: JobOutcome
  readonly seconds: number
}

/** Posts a job with curl and follows it to its end.
 * @throws where the job did not complete, with its outcome */
export const postJob = async (origin: string, route: 'backups' | 'restores', body: object): Promise<EndedJob> => {
  const began = performance.now()
  const json = ['--header', 'content-type: application/json', '--data', JSON.stringify(body)]
  const accepted = await curl(...json, `${origin}/api/${route}`)
  const jobId = jobIdOf(accepted)
  for (;;) {
    const job = (await curl(`${origin}/api/jobs/${jobId}`)) as { outcome?: JobOutcome | null }
    if (job.outcome !== undefined && job.outcome !== null) {
      if (job.outcome.kind !== 'completed') throw new Error(JSON.stringify(job.outcome, null, 2))
      return { accepted, outcome: job.outcome, seconds: (performance.now() - began) / 1000 }
    }
    await sleep(1000)
  }
}

const jobIdOf = (accepted: Record<string, unknown>): string => {
  const { jobId } = accepted
  if (typeof jobId !== 'string') throw new Error(`The answer names no job: ${JSON.stringify(accepted)}`)
  return jobId
}

/** Largest resident set of the worker process so far, in MiB, as the host reports it. */
export const workerPeakMiB = async (origin: string): Promise<number> => {
  const status = (await curl(`${origin}/admin/host/status`)) as { workers: readonly { peakRssBytes: number }[] }
  return Math.max(...status.workers.map(({ peakRssBytes }) => peakRssBytes)) / 2 ** 20
}
