import { diskReport } from '../../shared/domain/disk-report.ts'
import type { DiskReport, JobOutcome, StopReason } from '../../shared/domain/job.ts'
import type { Failed, JobRef, Stopped } from '../../shared/domain/job-ref.ts'
import type { JobPhase, VmProgress } from '../../shared/domain/progress.ts'
import {
  closeSources,
  commitRecoveryPoint,
  type DiskOutcome,
  finishJob,
  type ProtectVmInput,
  planBackup,
  protectDisk,
  protectVm,
  type RestorePointOutcome,
  releaseRestorePoints,
  takeDiskSnapshots,
  takeRestorePoint,
} from '../contracts.ts'
import {
  call,
  type DisksEnded,
  eachDiskWithinWindow,
  type OrchestrationContext,
  registerStory,
  type Story,
  status,
  untilReady,
} from '../durable.ts'

/** The story of one VM's backup. Every ending records its outcome and gives the claim back. */
export function* protectVmStory(context: OrchestrationContext, { job, token }: ProtectVmInput): Story<JobOutcome> {
  const ref = { jobId: job.jobId, vmKey: job.vmKey, recoveryPointId: job.recoveryPointId, token }
  const outcome = yield* protect(context, { job, token }, ref)
  yield* call(context, finishJob, { ...ref, outcome })
  return outcome
}

function* protect(context: OrchestrationContext, { job, token }: ProtectVmInput, ref: JobRef): Story<JobOutcome> {
  shower(context, job.deadline)('plan')
  const plan = yield* call(context, planBackup, { job, token })
  if (plan.kind === 'failed') return yield* closed(context, ref, failed(plan, []))

  const show = shower(context, plan.deadline)
  show('snapshot', { disks: plan.disks.length })
  const takeSources = job.source === 'restorePoints' ? takeRestorePoint : takeDiskSnapshots
  const sources = yield* untilReady(context, takeSources, ref)
  if (sources.kind !== 'ready') return yield* closed(context, ref, withoutSources(sources, plan.disks))

  const shown = { disks: plan.disks.length, consistency: sources.consistency }
  show('transfer', shown)
  const disks = plan.disks.map((disk) => ({ ...ref, disk }))
  const onStop = (stopping: StopReason) => show('transfer', { ...shown, stopping })
  const ended = yield* eachDiskWithinWindow(context, protectDisk, disks, { job: ref, deadline: plan.deadline, onStop })
  if (!allTransferred(ended)) return yield* closed(context, ref, notCommitted(ended))

  show('commit', shown)
  const commit = yield* call(context, commitRecoveryPoint, ref)
  if (commit.kind === 'failed') return yield* closed(context, ref, failed(commit, reportsOf(ended)))

  show('release', shown)
  const outcome = yield* closed(context, ref, committed(ref, sources, ended))
  yield* untilReady(context, releaseRestorePoints, ref)
  return outcome
}

/** Ends every access that this job was granted, then goes on with the outcome. What cannot be ended now expires by itself. */
function* closed(context: OrchestrationContext, ref: JobRef, outcome: JobOutcome): Story<JobOutcome> {
  yield* untilReady(context, closeSources, ref)
  return outcome
}

const shower =
  (context: OrchestrationContext, deadline: string | null) =>
  (phase: JobPhase, known: Partial<VmProgress> = {}): void =>
    status(context, { phase, deadline, disks: 0, consistency: null, stopping: null, ...known } satisfies VmProgress)

const reportsOf = (ended: DisksEnded<DiskOutcome>): readonly DiskReport[] => ended.outcomes.map(({ report }) => report)

const allTransferred = (ended: DisksEnded<DiskOutcome>): boolean =>
  ended.outcomes.every(({ kind }) => kind === 'transferred')

const committed = (
  ref: JobRef,
  sources: RestorePointOutcome & { readonly kind: 'ready' },
  ended: DisksEnded<DiskOutcome>,
): JobOutcome => ({
  kind: 'completed',
  recoveryPointId: ref.recoveryPointId,
  summary: {
    consistency: sources.consistency,
    consistentAcrossDisks: sources.consistentAcrossDisks,
    disks: reportsOf(ended),
  },
})

const failed = ({ reason, message, hint }: Failed, disks: readonly DiskReport[]): JobOutcome => ({
  kind: 'failed',
  reason,
  message,
  hint,
  disks,
})

const withoutSources = (sources: Failed | Stopped, disks: readonly string[]): JobOutcome =>
  sources.kind === 'failed'
    ? failed(sources, [])
    : stopped(
        sources.reason,
        disks.map((disk) => diskReport({ disk, kind: 'stopped', reason: sources.reason })),
      )

/** A disk that failed, fails the run; a stop is named only where no disk failed. Slices and base are kept in any case. */
const notCommitted = (ended: DisksEnded<DiskOutcome>): JobOutcome => {
  const reports = reportsOf(ended)
  const broken = reports.find(({ kind }) => kind === 'failed')
  if (broken === undefined) return stopped(ended.stopped ?? stopReasonIn(reports), reports)
  return failed(
    {
      kind: 'failed',
      reason: broken.reason ?? 'disk-failed',
      message: `The disk ${broken.disk} could not be transferred. Nothing was committed; the recovery points before this one are untouched.`,
      hint: broken.hint ?? 'See the reasons of the disks.',
    },
    reports,
  )
}

const stopReasonIn = (reports: readonly DiskReport[]): StopReason =>
  reports.some(({ reason }) => reason === 'missedWindow') ? 'missedWindow' : 'cancelled'

const stopHints: Readonly<Record<StopReason, string>> = {
  cancelled: 'Start the backup again when you want; the next run compares with the same base.',
  missedWindow: 'Widen the window of the policy, or let more lanes run; the next run compares with the same base.',
}

const stopped = (reason: StopReason, disks: readonly DiskReport[]): JobOutcome => ({
  kind: reason,
  reason,
  hint: stopHints[reason],
  disks,
})

registerStory(protectVm, protectVmStory)
