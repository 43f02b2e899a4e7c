import { diskReport } from '../../shared/domain/disk-report.ts'
import type { DiskReport, JobOutcome, StopReason } from '../../shared/domain/job.ts'
import { type Failed, type JobRef, refOf, type Stopped } from '../../shared/domain/job-ref.ts'
import type { JobPhase, VmProgress } from '../../shared/domain/progress.ts'
import {
  type CommitOutcome,
  type ConcludeOutcome,
  closeSources,
  commitRecoveryPoint,
  concludeBackup,
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
export function* protectVmStory(context: OrchestrationContext, input: ProtectVmInput): Story<JobOutcome> {
  const ref = refOf(input)
  const { outcome, isFinished } = yield* protect(context, input, ref)
  if (!isFinished) yield* call(context, finishJob, { ...ref, outcome })
  return outcome
}

/** `isFinished`: the outcome is recorded and the claim given back already. */
interface Ended {
  readonly outcome: JobOutcome
  readonly isFinished: boolean
}

function* protect(context: OrchestrationContext, input: ProtectVmInput, ref: JobRef): Story<Ended> {
  const { job } = input
  shower(context, job.deadline)('plan')
  const plan = yield* call(context, planBackup, input)
  if (plan.kind === 'failed') return yield* closed(context, ref, failed(plan, []))

  const show = shower(context, plan.deadline)
  show('snapshot', { disks: plan.disks.length })
  const takeSources = job.source === 'restorePoints' ? takeRestorePoint : takeDiskSnapshots
  const sources = yield* untilReady(context, takeSources, ref, plan.sources)
  if (sources.kind !== 'ready') return yield* closed(context, ref, withoutSources(sources, plan.disks))

  const shown = { disks: plan.disks.length, consistency: sources.consistency }
  show('transfer', shown)
  const { attempt } = input
  const disks = plan.disks.map((disk) => (attempt === undefined ? { ...ref, disk } : { ...ref, disk, attempt }))
  const onStop = (stopping: StopReason) => show('transfer', { ...shown, stopping })
  const ended = yield* eachDiskWithinWindow(context, protectDisk, disks, { job: ref, deadline: plan.deadline, onStop })
  if (!allTransferred(ended)) return yield* closed(context, ref, notCommitted(ended))

  show('commit', shown)
  const outcome = committed(ref, sources, ended)
  const commit = yield* concluded(context, input, { ...ref, outcome })
  if (commit.kind === 'concluded') return { outcome, isFinished: true }
  if (commit.kind === 'failed') return yield* closed(context, ref, failed(commit, reportsOf(ended)))

  show('release', shown)
  yield* closed(context, ref, outcome)
  yield* untilReady(context, releaseRestorePoints, ref)
  return { outcome, isFinished: false }
}

/** Commits, and ends the job with it where nothing has to be waited for. Instances that do not name their attempt end step by step. */
function* concluded(
  context: OrchestrationContext,
  { attempt }: ProtectVmInput,
  { outcome, ...ref }: JobRef & { readonly outcome: JobOutcome },
): Story<CommitOutcome | ConcludeOutcome> {
  if (attempt === undefined) return yield* call(context, commitRecoveryPoint, ref)
  return yield* call(context, concludeBackup, { ...ref, outcome })
}

/** Ends every access that this job was granted, then goes on with the outcome. What cannot be ended now expires by itself. */
function* closed(context: OrchestrationContext, ref: JobRef, outcome: JobOutcome): Story<Ended> {
  yield* untilReady(context, closeSources, ref)
  return { outcome, isFinished: false }
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
