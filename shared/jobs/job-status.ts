import { instanceIdOf } from '../domain/ids.ts'
import type { BackupJob, Job, JobOutcome, JobRecord, RestoreJob, WindowFor } from '../domain/job.ts'
import {
  type DiskProgress,
  expectedEndOf,
  type JobPhase,
  type Moved,
  nothingMoved,
  percentOf,
  sumMoved,
  type VmProgress,
} from '../domain/progress.ts'
import { readBackupPlan } from './backup-plan.ts'
import { readClaim } from './claim.ts'
import { type EngineState, engineStateOf } from './engine-state.ts'
import type { JobDeps } from './job-deps.ts'
import type { JobInstances } from './job-instances.ts'
import { readJobRecord } from './job-records.ts'
import { readSliceProgress } from './slice-progress.ts'
import { goesOn, type ToldOutcome, targetOf, toldOutcome } from './told-outcome.ts'
import { readUnfinished } from './unfinished.ts'

/** One disk of a job that runs, in bytes of the raw disk. */
export interface DiskStatus extends Moved {
  readonly disk: string
  /** Of a restore: the ARM id of the disk that is made. */
  readonly targetDiskId?: string
  readonly phase: DiskProgress['phase'] | 'waiting'
  readonly transfer: 'full' | 'incremental' | null
  readonly sizeBytes: number
  readonly totalBytes: number
  /** 0 until the disk is planned; 100 where nothing is to be moved. */
  readonly percent: number
}

/** What `GET job` answers. */
export interface JobStatus extends Omit<EngineState, 'state'> {
  readonly state: EngineState['state'] | JobOutcome['kind']
  readonly jobId: string
  readonly kind: Job['kind']
  readonly vmKey: string
  readonly vmId: string | null
  readonly recoveryPointId: string
  readonly phase: JobPhase | 'waiting'
  readonly attempt: number
  readonly instanceId: string
  readonly requestedAt: string
  readonly startedAt: string
  readonly endedAt: string | null
  readonly deadline: string | null
  /** Which runs the window holds for; null where it is no backup. */
  readonly windowFor: WindowFor | null
  readonly stopping: string | null
  readonly percent: number
  /** At the speed until now; null while nothing can be said. */
  readonly expectedEndAt: string | null
  /** Empty once the job has ended: its outcome tells of them. */
  readonly disks: readonly DiskStatus[]
  /** Of a restore, also where it ended before it came to its disks: the ARM ids of those that it makes, as the start named them. */
  readonly targets?: RestoreJob['disks']
  readonly outcome: ToldOutcome | null
}

type StatusDeps = Pick<JobDeps, 'clock' | 'control'> & { readonly instances: JobInstances }

/** Puts a job's record, its claim and what its latest attempt shows together. Null where no such job was ever started. */
export const jobStatus = async (deps: StatusDeps, jobId: string): Promise<JobStatus | null> => {
  const record = await readJobRecord(deps.control, jobId)
  if (record === null) return null
  const held = record.outcome === null ? await readClaim(deps.control, record.job) : null
  const attempt = held?.claim.job.jobId === jobId ? held.claim.attempt : record.attempts
  const instanceId = instanceIdOf(jobId, attempt)
  const { outcome } = record
  if (outcome !== null) return endedStatus(deps, { ...record, outcome }, instanceId)
  const instance = await deps.instances.status(instanceId)
  const shown = (instance?.customStatus ?? null) as VmProgress | null
  const disks =
    record.job.kind === 'comparison' ? comparedSoFar(shown) : await diskStatuses(deps, record.job, instanceId)
  return {
    ...common(record, instanceId, attempt),
    outcome: null,
    // The plan may find that the window does not count.
    ...(shown === null ? {} : { deadline: shown.deadline }),
    ...engineStateOf(instance, deps.clock.now()),
    phase: instance?.state === 'running' ? (shown?.phase ?? 'plan') : 'waiting',
    stopping: shown?.stopping ?? null,
    ...forecast(deps, record, disks),
    disks,
  }
}

const common = (record: Omit<JobRecord, 'outcome'>, instanceId: string, attempt: number) => ({
  jobId: record.job.jobId,
  kind: record.job.kind,
  vmKey: record.job.vmKey,
  vmId: record.job.kind === 'backup' ? record.job.vmId : null,
  recoveryPointId: record.job.recoveryPointId,
  attempt,
  instanceId,
  requestedAt: record.job.requestedAt,
  startedAt: record.startedAt,
  endedAt: record.endedAt,
  deadline: record.job.kind === 'restore' ? null : record.job.deadline,
  windowFor: record.job.kind === 'backup' ? (record.job.windowFor ?? 'increments') : null,
  ...(record.job.kind === 'restore' ? { targets: record.job.disks } : {}),
})

const endedStatus = async (
  deps: StatusDeps,
  { outcome, ...record }: JobRecord & { readonly outcome: JobOutcome },
  instanceId: string,
): Promise<JobStatus> => {
  const canGoOn = await isUnfinished(deps, record.job)
  const told = toldOutcome(record.job, outcome, canGoOn)
  return {
    ...common(record, instanceId, record.attempts),
    outcome: told,
    state: outcome.kind,
    phase: 'ended',
    stopping: null,
    percent: outcome.kind === 'completed' ? 100 : 0,
    expectedEndAt: null,
    disks: [],
    runtimeStatus: null,
    runtimeStatusSince: null,
    hint: canGoOn ? resumeHint(record.job.jobId, told) : null,
  }
}

/** A stop tells by itself how to go on; a failure tells its cure. */
const resumeHint = (jobId: string, told: ToldOutcome): string | null =>
  told.kind === 'cancelled' || told.kind === 'missedWindow' ? told.hint : goesOn(jobId)

/** True for a backup that ended without a commit and can be resumed. */
export const isUnfinished = async ({ control }: Pick<JobDeps, 'control'>, job: Job): Promise<boolean> =>
  job.kind === 'backup' && (await readUnfinished(control, job.vmKey))?.jobId === job.jobId

const forecast = (deps: StatusDeps, record: JobRecord, disks: readonly DiskStatus[]) => {
  const { doneBytes } = sumMoved(disks)
  const totalBytes = disks.reduce((sum, disk) => sum + disk.totalBytes, 0)
  const isPlanned = disks.length > 0 && disks.every(({ phase }) => phase !== 'waiting' && phase !== 'plan')
  const now = deps.clock.now()
  const end = isPlanned ? expectedEndOf(new Date(record.startedAt), now, doneBytes, totalBytes) : null
  return { percent: isPlanned ? percentOf(doneBytes, totalBytes) : 0, expectedEndAt: end?.toISOString() ?? null }
}

/** The disks of a comparison follow each other: one line for the one that it is at, with the bytes of all. */
const comparedSoFar = (shown: VmProgress | null): readonly DiskStatus[] => {
  if (shown?.comparing === undefined) return []
  const { disk, doneBytes, readBytes, totalBytes } = shown.comparing
  const moved = { ...nothingMoved, doneBytes, readBytes }
  const percent = percentOf(doneBytes, totalBytes)
  return [{ ...moved, disk, phase: 'transfer', transfer: null, sizeBytes: totalBytes, totalBytes, percent }]
}

const diskStatuses = async (
  deps: StatusDeps,
  job: BackupJob | RestoreJob,
  instanceId: string,
): Promise<readonly DiskStatus[]> => {
  const labels =
    job.kind === 'restore'
      ? job.disks.map(({ disk }) => disk)
      : ((await readBackupPlan(deps.control, job.recoveryPointId))?.disks.map(({ disk }) => disk) ?? [])
  const { recoveryPointId } = job
  return Promise.all(
    labels.map(async (disk) => ({
      ...(await diskStatus(deps, { recoveryPointId, disk }, `${instanceId}:disk-${disk}`)),
      ...targetOf(job, disk),
    })),
  )
}

const diskStatus = async (
  deps: StatusDeps,
  ref: { readonly recoveryPointId: string; readonly disk: string },
  instanceId: string,
): Promise<DiskStatus> => {
  const { disk } = ref
  const instance = await deps.instances.status(instanceId)
  const shown = (instance?.customStatus ?? null) as DiskProgress | null
  if (shown === null)
    return { ...nothingMoved, disk, phase: 'waiting', transfer: null, sizeBytes: 0, totalBytes: 0, percent: 0 }
  const moved = shown.phase === 'transfer' ? await movedSoFar(deps, ref, instanceId, shown) : shown
  return {
    disk,
    phase: shown.phase,
    transfer: shown.transfer,
    sizeBytes: shown.sizeBytes,
    totalBytes: shown.totalBytes,
    // Until the disk is planned, its total of 0 says nothing.
    percent: shown.phase === 'plan' ? 0 : percentOf(moved.doneBytes, shown.totalBytes),
    slicesDone: moved.slicesDone,
    doneBytes: moved.doneBytes,
    readBytes: moved.readBytes,
    storedBytes: moved.storedBytes,
  }
}

/** The slices that are done, as the instances show them, and the parts of those that are being moved. */
const movedSoFar = async (
  deps: StatusDeps,
  ref: { readonly recoveryPointId: string; readonly disk: string },
  instanceId: string,
  shown: DiskProgress,
): Promise<Moved> => {
  const parts = await readSliceProgress(deps.control, ref)
  const lanes = await Promise.all(
    Array.from({ length: shown.lanes }, (_, lane) => deps.instances.status(`${instanceId}:lane-${lane}`)),
  )
  const done = lanes.map((lane) => (lane?.customStatus as Moved | null | undefined) ?? nothingMoved)
  const { slicesDone, doneBytes, readBytes, storedBytes } = sumMoved([shown, ...done, ...parts])
  return { slicesDone, doneBytes: Math.min(doneBytes, shown.totalBytes), readBytes, storedBytes }
}
