import { differingToldMax, diskReport } from '../../shared/domain/disk-report.ts'
import type { Extent } from '../../shared/domain/extent.ts'
import type { CompareJob, DiskReport, JobOutcome } from '../../shared/domain/job.ts'
import type { Failed, JobRef, Stopped } from '../../shared/domain/job-ref.ts'
import type { VmProgress } from '../../shared/domain/progress.ts'
import {
  type CompareVmInput,
  type ComparisonProgress,
  closeSources,
  compareRange,
  compareVm,
  type DiskComparison,
  finishJob,
  planComparison,
} from '../contracts.ts'
import {
  call,
  continueAs,
  millisecondsSince,
  type OrchestrationContext,
  registerStory,
  type Story,
  startOf,
  status,
  untilReady,
} from '../durable.ts'

/** Steps in one history: some 150 events, which replay in milliseconds. */
export const stepsPerGeneration = 50

/** The story of a comparison: disk after disk, in bounded steps. Every ending ends its accesses, records its outcome and gives the claim back. A
 * stop that is asked for is seen by the next step. */
export function* compareVmStory(context: OrchestrationContext, input: CompareVmInput): Story<JobOutcome | undefined> {
  const { job, token } = input
  const ref = { jobId: job.jobId, vmKey: job.vmKey, recoveryPointId: job.recoveryPointId, token }
  const compared = yield* compare(context, input, ref)
  if ('reports' in compared) return continueAs(context, compareVm, { job, token, progress: compared })
  yield* untilReady(context, closeSources, ref)
  yield* call(context, finishJob, { ...ref, outcome: compared })
  return compared
}

/** @returns the outcome, or how far it came in this history */
function* compare(
  context: OrchestrationContext,
  { job, token, progress: carried }: CompareVmInput,
  ref: JobRef,
): Story<JobOutcome | ComparisonProgress> {
  const begun = carried ?? (yield* planned(context, job, token))
  if ('kind' in begun) return { ...begun, disks: [] }
  let progress = begun
  for (let steps = 0; steps < stepsPerGeneration; steps++) {
    const current = progress.disks[progress.reports.length]
    if (current === undefined) return outcomeOf(job, progress.reports)
    show(context, job, progress)
    const from = { disk: current.disk, fromOffsetBytes: progress.at.nextOffsetBytes }
    const range = yield* untilReady(context, compareRange, { ...ref, ...from })
    if (range.kind === 'stopped') return stopped(range, progress)
    if (range.kind === 'failed') progress = withReport(context, progress, failedReport(current.disk, range))
    else {
      progress = { ...progress, at: plus(progress.at, range) }
      if (range.kind === 'done') progress = withReport(context, progress, reportOf(context, current, progress.at))
    }
  }
  return progress
}

function* planned(context: OrchestrationContext, job: CompareJob, token: string): Story<ComparisonProgress | Failed> {
  status(context, { ...shown, deadline: job.deadline, disks: job.disks.length })
  const plan = yield* call(context, planComparison, { job, token })
  return plan.kind === 'failed' ? plan : { disks: plan.disks, reports: [], at: beginning(context) }
}

const shown: VmProgress = { phase: 'plan', deadline: null, disks: 0, consistency: null, stopping: null }

const beginning = (context: OrchestrationContext): DiskComparison => ({
  nextOffsetBytes: 0,
  comparedBytes: 0,
  differingBytes: 0,
  differing: [],
  startedAt: startOf(context),
})

const withReport = (
  context: OrchestrationContext,
  progress: ComparisonProgress,
  report: DiskReport,
): ComparisonProgress => ({ ...progress, reports: [...progress.reports, report], at: beginning(context) })

const plus = (at: DiskComparison, range: Omit<DiskComparison, 'startedAt'>): DiskComparison => ({
  nextOffsetBytes: range.nextOffsetBytes,
  comparedBytes: at.comparedBytes + range.comparedBytes,
  differingBytes: at.differingBytes + range.differingBytes,
  differing: [...at.differing, ...range.differing].slice(0, differingToldMax),
  startedAt: at.startedAt,
})

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)

const show = (context: OrchestrationContext, { deadline }: CompareJob, progress: ComparisonProgress): void => {
  const { disks, reports, at } = progress
  const sizes = disks.map(({ sizeBytes }) => sizeBytes)
  const comparing = {
    disk: disks[reports.length]?.disk ?? '',
    doneBytes: sumOf(sizes.slice(0, reports.length)) + at.nextOffsetBytes,
    readBytes: sumOf(reports.map(({ readBytes }) => readBytes)) + at.comparedBytes,
    totalBytes: sumOf(sizes),
  }
  status(context, { ...shown, phase: 'transfer', deadline, disks: disks.length, comparing } satisfies VmProgress)
}

const failedReport = (disk: string, { reason, message, hint }: Failed): DiskReport =>
  diskReport({ disk, kind: 'failed', reason: `${reason}: ${message}`, hint })

const reportOf = (
  context: OrchestrationContext,
  { disk, sizeBytes }: { readonly disk: string; readonly sizeBytes: number },
  { comparedBytes, differingBytes, differing, startedAt }: DiskComparison,
): DiskReport => {
  const milliseconds = millisecondsSince(context, startedAt)
  const compared = diskReport({ disk, kind: 'compared', sizeBytes, readBytes: comparedBytes, milliseconds })
  if (differingBytes === 0) return compared
  const reason = `differs-from-source: ${differingBytes} bytes lie in pages that differ, the first at ${listed(differing)}.`
  return { ...compared, kind: 'failed', changedBytes: differingBytes, reason, hint: differsHint }
}

/** Offsets with lengths, in bytes. */
const listed = (ranges: readonly Extent[]): string =>
  ranges.map(({ offsetBytes, lengthBytes }) => `${offsetBytes} (${lengthBytes})`).join(', ')

const differsHint =
  'The recovery point is not what the disk was: restore an earlier one, and report this. To have the disk stored anew, leave it out of one backup by excludedDisks; the backup after that stores all of it.'

const outcomeOf = ({ recoveryPointId }: CompareJob, disks: readonly DiskReport[]): JobOutcome => {
  const broken = disks.find(({ kind }) => kind === 'failed')
  if (broken === undefined)
    return { kind: 'completed', recoveryPointId, summary: { consistency: null, consistentAcrossDisks: true, disks } }
  return {
    kind: 'failed',
    reason: broken.reason ?? 'disk-failed',
    message: `The disk ${broken.disk} was not found equal to the copy that it was made from. Nothing was changed.`,
    hint: broken.hint ?? 'See the reasons of the disks.',
    disks,
  }
}

const stopHints = {
  cancelled: 'Start the comparison again when you want.',
  missedWindow: 'Compare fewer disks at once, or samples of them by oneIn.',
} as const

const stopped = ({ reason }: Stopped, { disks, reports }: ComparisonProgress): JobOutcome => {
  const open = disks.slice(reports.length).map(({ disk }) => diskReport({ disk, kind: 'stopped', reason }))
  return { kind: reason, reason, hint: stopHints[reason], disks: [...reports, ...open] }
}

registerStory(compareVm, compareVmStory)
