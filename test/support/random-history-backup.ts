import type { BackupJob, Claim, JobOutcome } from '../../shared/domain/job.ts'
import { type DiskRef, type JobRef, refOf } from '../../shared/domain/job-ref.ts'
import { revisionsPrefix } from '../../shared/format/names.ts'
import { commitJob } from '../../shared/jobs/commit-job.ts'
import { finishJob } from '../../shared/jobs/finish-job.ts'
import { readJobRecord } from '../../shared/jobs/job-records.ts'
import { planDiskTransfer } from '../../shared/jobs/plan-disk-transfer.ts'
import { planVmBackup } from '../../shared/jobs/plan-vm-backup.ts'
import { releaseSources } from '../../shared/jobs/release-sources.ts'
import { sealPlannedDisk } from '../../shared/jobs/seal-planned-disk.ts'
import { takeSources } from '../../shared/jobs/take-sources.ts'
import { transferDiskSlice } from '../../shared/jobs/transfer-disk-slice.ts'
import type { HistoryDeps } from './random-history-world.ts'
import type { SeededRandom } from './seeded-random.ts'

/** `refused`: a step said that it must not, or cannot, go on. */
export type Protected =
  | { readonly kind: 'committed'; readonly story: string }
  | { readonly kind: 'refused'; readonly reason: string }

/** The steps of a backup in the order of the real story, over the real use cases; any run of them goes on where another one broke. */
export const protect = async (deps: HistoryDeps, claim: Claim, random: SeededRandom): Promise<Protected> => {
  const ref = refOf(claim)
  const protectedBy = await goThrough(deps, claim, random)
  if (protectedBy.kind === 'committed') {
    if (random.below(5) > 0) await releaseSources(deps, ref)
    const summary = { consistency: null, consistentAcrossDisks: true, disks: [] }
    await finishJob(deps, { ...ref, outcome: { kind: 'completed', recoveryPointId: ref.recoveryPointId, summary } })
    return protectedBy
  }
  // What is decided by another run is not gone on with: its plan may be gone, and only the job's claim is left.
  const outcome = (await readJobRecord(deps.control, ref.jobId))?.outcome ?? null
  if (outcome === null && !(await isDecided(deps, ref))) return protectedBy
  await finishJob(deps, { ...ref, outcome: givenUp })
  if (outcome?.kind !== 'completed') return protectedBy
  return { kind: 'committed', story: `was committed before (${protectedBy.reason})` }
}

const isDecided = async ({ vault }: HistoryDeps, { vmKey, recoveryPointId }: JobRef): Promise<boolean> => {
  for await (const _ of vault.list(revisionsPrefix(vmKey, recoveryPointId))) return true
  return false
}

/** What a job ends with that is not gone on with. */
export const givenUp: JobOutcome = {
  kind: 'failed',
  reason: 'given-up',
  message: 'Given up.',
  hint: 'None.',
  disks: [],
}

const goThrough = async (deps: HistoryDeps, claim: Claim, random: SeededRandom): Promise<Protected> => {
  const job = claim.job as BackupJob
  const ref = refOf(claim)
  const plan = await planVmBackup(deps, { job, token: ref.token })
  if (plan.kind === 'failed') return refused(plan)
  const sources = await takeSources(deps, ref, job.source)
  if (sources.kind !== 'ready') return refused(sources)
  const stories: string[] = []
  for (const disk of plan.disks) {
    const moved = await protectDisk(deps, { ...ref, disk }, random)
    if (typeof moved !== 'string') return moved
    stories.push(moved)
  }
  const commit = await commitJob(deps, ref)
  return commit.kind === 'failed' ? refused(commit) : { kind: 'committed', story: stories.join(', ') }
}

const refused = (answer: { readonly kind: string; readonly reason?: string }): Protected => ({
  kind: 'refused',
  reason: answer.reason ?? answer.kind,
})

const protectDisk = async (deps: HistoryDeps, ref: DiskRef, random: SeededRandom): Promise<Protected | string> => {
  const planned = await planDiskTransfer(deps, ref)
  if (planned.kind !== 'planned') return refused(planned)
  const slices = Array.from({ length: planned.slices }, (_, slice) => slice)
  if (random.below(2) === 0) slices.reverse()
  for (const slice of slices) {
    const moved = await transferDiskSlice(deps, { ...ref, slice })
    if (moved.kind !== 'transferred') return refused(moved)
  }
  const sealed = await sealPlannedDisk(deps, ref)
  if (sealed.kind === 'failed') return refused(sealed)
  const { transfer, comparedWith, fullReason, changedBytes, sizeBytes } = sealed.report
  const how = transfer === 'full' ? `full (${fullReason}, compared with ${comparedWith})` : transfer
  return `${ref.disk} ${how}, ${changedBytes} of ${sizeBytes} bytes in ${planned.slices} slices`
}
