import { firstSampleOf } from '../domain/ids.ts'
import { type DiskRef, type Failed, failed, type Pending, type Stopped } from '../domain/job-ref.ts'
import type { CommittedDisk } from '../domain/recovery-point.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { type ComparedWithSource, compareWithSource } from '../vault/compare-with-source.ts'
import { readRevision } from '../vault/recovery-points.ts'
import { claimOf } from './claim.ts'
import type { JobDeps } from './job-deps.ts'
import { type ComparisonPlan, readComparisonPlan } from './plan-comparison.ts'
import { tellingDamage } from './telling-damage.ts'
import { withReader } from './with-reader.ts'

type CompareDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'keys' | 'limits' | 'openReader' | 'vault'>

/** What one step found. */
export type RangeCompared = Exclude<ComparedWithSource, { kind: 'size-differs' }> | Pending | Stopped | Failed

/** Compares a disk with its source from an offset on, as much as one activity should. Key: the offset; it changes nothing. Stored bytes that it
 * finds damaged are reported. */
export const comparePlannedRange = async (
  deps: CompareDeps,
  { fromOffsetBytes, ...ref }: DiskRef & { readonly fromOffsetBytes: number },
): Promise<RangeCompared> => {
  const claim = await claimOf(deps.control, ref)
  if ('kind' in claim) return claim
  if (claim.stopping !== undefined) return { kind: 'stopped', reason: claim.stopping }
  const plan = await readComparisonPlan(deps.control, ref.jobId)
  if (plan === null) return planMissing
  if (deps.clock.now() >= new Date(plan.job.deadline)) return { kind: 'stopped', reason: 'missedWindow' }
  return tellingDamage(deps, ref.vmKey, () => compare(deps, ref, plan, fromOffsetBytes))
}

const compare = async (
  deps: CompareDeps,
  ref: DiskRef,
  { job, revision }: ComparisonPlan,
  fromOffsetBytes: number,
): Promise<RangeCompared> => {
  const disk = await committedDisk(deps.vault, { ...job, revision }, ref.disk)
  if (disk === null) return planMissing
  const sample = { oneIn: job.oneIn, first: firstSampleOf(job.jobId, job.oneIn) }
  const keys = await deps.keys.ring()
  return withReader(deps, ref, { source: disk.source, base: null }, async (reader) => {
    const request = { disk, fromOffsetBytes, budgetBytes: deps.limits.sliceBytes, sample }
    return outcomeOf(disk, await compareWithSource({ vault: deps.vault, reader, keys }, request))
  })
}

const outcomeOf = (disk: CommittedDisk, compared: ComparedWithSource): RangeCompared =>
  compared.kind === 'size-differs' ? sizeDiffers(disk, compared.sourceBytes) : compared

const committedDisk = async (
  vault: BlobReader,
  key: { readonly vmKey: string; readonly recoveryPointId: string; readonly revision: number },
  label: string,
): Promise<CommittedDisk | null> => {
  const record = (await readRevision(vault, key, key.revision, {}))?.record
  return record !== undefined && 'disks' in record ? (record.disks.find(({ disk }) => disk === label) ?? null) : null
}

const planMissing = failed(
  'plan-missing',
  'The plan of this comparison is not in the control container, or its recovery point is not in the vault.',
  'Start the comparison again. Check that nothing but the function app removes objects below plans/.',
)

const sizeDiffers = ({ disk, sizeBytes }: CommittedDisk, sourceBytes: number): Failed =>
  failed(
    'size-differs',
    `The recovery point says that ${disk} has ${sizeBytes} bytes; the copy that it was made from has ${sourceBytes}.`,
    'Restore an earlier recovery point, and report this.',
  )
