import type { DiskReport, JobOutcome } from '../../shared/domain/job.ts'
import type { JobRef } from '../../shared/domain/job-ref.ts'
import type { VmProgress } from '../../shared/domain/progress.ts'
import { type DiskOutcome, finishJob, planRestore, type RestoreVmInput, restoreDisk, restoreVm } from '../contracts.ts'
import { call, eachDiskWithinWindow, type OrchestrationContext, registerStory, type Story, status } from '../durable.ts'

/** The story of a restore: every disk into a new managed disk, byte for byte. Every ending records its outcome. */
export function* restoreVmStory(context: OrchestrationContext, { job, token }: RestoreVmInput): Story<JobOutcome> {
  const ref = { jobId: job.jobId, vmKey: job.vmKey, recoveryPointId: job.recoveryPointId, token }
  const outcome = yield* restore(context, { job, token }, ref)
  yield* call(context, finishJob, { ...ref, outcome })
  return outcome
}

function* restore(context: OrchestrationContext, { job, token }: RestoreVmInput, ref: JobRef): Story<JobOutcome> {
  status(context, { ...shown, phase: 'plan', disks: job.disks.length })
  const plan = yield* call(context, planRestore, { job, token })
  if (plan.kind === 'failed') return { ...plan, disks: [] }

  status(context, { ...shown, phase: 'transfer', disks: plan.disks.length })
  const disks = plan.disks.map((disk) => ({ ...ref, disk, progress: null }))
  const { outcomes } = yield* eachDiskWithinWindow(context, restoreDisk, disks, {
    job: ref,
    deadline: null,
    onStop: (stopping) => status(context, { ...shown, phase: 'transfer', disks: plan.disks.length, stopping }),
  })
  return outcomeOf(job.recoveryPointId, outcomes)
}

const shown: VmProgress = { phase: 'plan', deadline: null, disks: 0, consistency: null, stopping: null }

const outcomeOf = (recoveryPointId: string, outcomes: readonly DiskOutcome[]): JobOutcome => {
  const disks = outcomes.map(({ report }) => report)
  const broken = disks.find(({ kind }) => kind === 'failed')
  if (broken !== undefined) return notRestored(broken, disks)
  if (disks.some(({ kind }) => kind === 'stopped')) return cancelled(disks)
  return { kind: 'completed', recoveryPointId, summary: { consistency: null, consistentAcrossDisks: true, disks } }
}

const notRestored = (broken: DiskReport, disks: readonly DiskReport[]): JobOutcome => ({
  kind: 'failed',
  reason: broken.reason ?? 'disk-failed',
  message: `The disk ${broken.disk} could not be restored. The recovery point is untouched.`,
  hint:
    broken.hint ?? 'See the reasons of the disks, remove the disks that are not complete, and start the restore again.',
  disks,
})

const cancelled = (disks: readonly DiskReport[]): JobOutcome => ({
  kind: 'cancelled',
  reason: 'cancelled',
  hint: 'The disks that are not complete have no VHD footer and cannot be used: remove them.',
  disks,
})

registerStory(restoreVm, restoreVmStory)
