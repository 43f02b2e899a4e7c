import type { CompareJob } from '../domain/job.ts'
import { type Failed, failed, refOf } from '../domain/job-ref.ts'
import type { CommittedDisk, RecoveryPoint } from '../domain/recovery-point.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { writeIntent } from '../vault/intents.ts'
import { readRecoveryPoint } from '../vault/recovery-points.ts'
import { claimOf } from './claim.ts'
import { comparisonPlanName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { createOrRead, readJson } from './json-object.ts'
import { tellingDamage } from './telling-damage.ts'

/** `plans/<jobId>/comparison.json` */
export interface ComparisonPlan {
  readonly job: CompareJob
  /** Of the commit record: the job's intent keeps it. */
  readonly revision: number
  /** The platform's copies, by their ids: what access is ended to. */
  readonly sources: readonly string[]
  readonly disks: readonly { readonly disk: string; readonly sizeBytes: number }[]
}

/** `failed` where the recovery point, a disk of it, or the platform's copy of one is not there. */
export type ComparisonPlanned = ({ readonly kind: 'planned' } & Pick<ComparisonPlan, 'disks'>) | Failed

type PlanDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'vault'>

/** What the comparison will do; null while it is not decided. The plan of a job never changes.
 * @throws ControlObjectError where the bytes are no JSON */
export const readComparisonPlan = async (control: BlobReader, jobId: string): Promise<ComparisonPlan | null> =>
  (await readJson<ComparisonPlan>(control, comparisonPlanName(jobId)))?.value ?? null

/** Says which disks are compared, keeps what they need from being collected meanwhile, and refuses where the platform does not have the copies.
 * Under the VM's claim no backup takes them away. Key: the job. */
export const planComparison = async (
  deps: PlanDeps,
  { job, token }: { readonly job: CompareJob; readonly token: string },
): Promise<ComparisonPlanned> => {
  const claim = await claimOf(deps.control, refOf({ job, token }))
  if ('kind' in claim) return claim
  const plan = (await readComparisonPlan(deps.control, job.jobId)) ?? (await decide(deps, job))
  return 'kind' in plan ? plan : { kind: 'planned', disks: plan.disks }
}

const decide = async (deps: PlanDeps, job: CompareJob): Promise<ComparisonPlan | Failed> => {
  const { vmKey, recoveryPointId, jobId } = job
  await writeIntent(deps.control, { kind: 'verification', id: jobId, vmKey, dependsOn: [recoveryPointId] })
  const found = await tellingDamage(deps, vmKey, () => readRecoveryPoint(deps.vault, { vmKey, recoveryPointId }))
  const disks = found === null ? [] : disksOf(found.recoveryPoint, job.disks)
  if (found === null || disks.length < job.disks.length) return notInVault
  const gone = await goneSources(deps, disks)
  if (gone.length > 0) return sourcesGone(gone)
  return createOrRead<ComparisonPlan>(deps.control, comparisonPlanName(jobId), {
    job,
    revision: found.recoveryPoint.revision,
    sources: disks.map(({ source }) => source.resourceId),
    disks: disks.map(({ disk, sizeBytes }) => ({ disk, sizeBytes })),
  })
}

const disksOf = ({ disks }: RecoveryPoint, labels: readonly string[]): readonly CommittedDisk[] =>
  labels.flatMap((label) => disks.find(({ disk }) => disk === label) ?? [])

/** The disks whose copies the platform does not have any more. */
export const goneSources = async (
  { access }: Pick<JobDeps, 'access'>,
  disks: readonly Pick<CommittedDisk, 'disk' | 'source'>[],
): Promise<readonly string[]> => {
  const exist = await Promise.all(disks.map(({ source }) => access.exists(source.resourceId)))
  return disks.filter((_, index) => exist[index] !== true).map(({ disk }) => disk)
}

const notInVault = failed(
  'recovery-point-missing',
  'The recovery point is not in the vault, or lacks a disk that is to be compared.',
  'List the recovery points of the VM and choose one of them.',
)

const sourcesGone = (disks: readonly string[]): Failed =>
  failed(
    'source-gone',
    `The platform does not have the copies any more that these disks were made from: ${disks.join(', ')}.`,
    'Only the newest recovery point of a VM can be compared, until the next backup. Compare that one, or restore this one.',
  )
