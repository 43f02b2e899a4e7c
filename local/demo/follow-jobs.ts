import { setTimeout as sleep } from 'node:timers/promises'
import type { JobStatus } from '../../shared/jobs/job-status.ts'
import type { AppApi } from './app-api.ts'
import type { DiskProgress, ProgressView } from './progress.ts'

/** A job to follow, under the name that people know its VM by. */
export interface FollowedJob {
  readonly vm: string
  readonly jobId: string
}

/** Shows the progress of jobs until all of them have ended.
 * @returns the last status of each, in the order of `jobs` */
export const followJobs = async (
  api: Pick<AppApi, 'getJob'>,
  jobs: readonly FollowedJob[],
  view: ProgressView,
): Promise<readonly JobStatus[]> => {
  const known = new Map<string, readonly DiskProgress[]>()
  for (;;) {
    const statuses = await Promise.all(jobs.map(({ jobId }) => api.getJob(jobId)))
    view.show(jobs.flatMap((job, index) => progressOf(job, statuses[index]!, known)))
    if (statuses.every(({ outcome }) => outcome !== null)) {
      view.finish()
      return statuses
    }
    await sleep(pollMs)
  }
}

const pollMs = 400

/** Disks are known from their job's plan on; a job that has ended shows its disks as its outcome has them. */
const progressOf = (
  { vm, jobId }: FollowedJob,
  status: JobStatus,
  known: Map<string, readonly DiskProgress[]>,
): readonly DiskProgress[] => {
  const disks = status.outcome === null ? runningDisks(vm, status) : endedDisks(vm, status, known.get(jobId) ?? [])
  if (disks.length > 0) known.set(jobId, disks)
  return disks.length > 0
    ? disks
    : [{ vm, disk: '', phase: status.phase, doneBytes: 0, totalBytes: null, isEnded: false }]
}

const runningDisks = (vm: string, status: JobStatus): readonly DiskProgress[] =>
  status.disks.map(({ disk, phase, doneBytes, totalBytes }) => ({
    vm,
    disk,
    phase: phase === 'waiting' || phase === 'ended' ? phaseOfJob(status, phase) : phase,
    doneBytes,
    totalBytes: phase === 'waiting' || phase === 'plan' ? null : totalBytes,
    isEnded: false,
  }))

/** While a disk has nothing to say, its job has: `snapshot`, `commit`, `release`. */
const phaseOfJob = (status: JobStatus, phase: 'waiting' | 'ended'): string =>
  status.phase === 'transfer' ? (phase === 'ended' ? 'done' : 'waiting') : status.phase

const endedDisks = (vm: string, status: JobStatus, shown: readonly DiskProgress[]): readonly DiskProgress[] => {
  const { outcome } = status
  const reports = outcome === null ? [] : outcome.kind === 'completed' ? outcome.summary.disks : outcome.disks
  if (reports.length === 0) return shown.map((disk) => ({ ...disk, phase: outcome?.kind ?? disk.phase, isEnded: true }))
  return reports.map(({ disk, kind, changedBytes, sizeBytes }) => {
    const before = shown.find((other) => other.disk === disk)
    const isDone = kind === 'transferred' || kind === 'restored'
    const totalBytes = before?.totalBytes ?? (kind === 'restored' ? sizeBytes : changedBytes)
    const doneBytes = isDone ? totalBytes : (before?.doneBytes ?? 0)
    return { vm, disk, phase: isDone ? 'done' : kind, doneBytes, totalBytes, isEnded: true }
  })
}
