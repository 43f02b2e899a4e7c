import type { DiskSource } from '../domain/disk-source.ts'
import type { DiskRef, Failed, Pending, Stopped } from '../domain/job-ref.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { SourceError } from '../ports/disk-reader.ts'
import { type DiskPlan, readDiskPlan } from '../vault/disk-plan.ts'
import { planDisk } from '../vault/plan-disk.ts'
import { findDisk } from './backup-plan.ts'
import { fullReasonName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { createOrRead, readJson } from './json-object.ts'
import { stopReasonOf } from './stop.ts'
import { withReader } from './with-reader.ts'

export type DiskPlanned =
  | {
      readonly kind: 'planned'
      readonly transfer: 'full' | 'incremental'
      readonly slices: number
      readonly lanes: number
      readonly sizeBytes: number
      readonly changedBytes: number
    }
  | Pending
  | Stopped
  | Failed

type PlanDeps = Pick<JobDeps, 'access' | 'clock' | 'control' | 'limits' | 'openReader'>

/** Lists what a disk's transfer has to move and cuts it into slices. Key: the disk of the recovery point; the first plan stays. Where
 * the platform cannot compare the source with its base, the plan is that of a full transfer, and the reason is recorded. */
export const planDiskTransfer = async (deps: PlanDeps, ref: DiskRef): Promise<DiskPlanned> => {
  const stored = await readDiskPlan(deps.control, ref)
  if (stored !== null) return plannedOf(deps, stored)
  const reason = await stopReasonOf(deps.control, ref.jobId)
  if (reason !== null) return { kind: 'stopped', reason }
  const disk = await findDisk(deps.control, ref)
  if ('kind' in disk) return disk
  const { source, planned } = disk
  const base = await usableBase(deps, ref, source, planned.base?.source ?? null)
  try {
    return await list(deps, ref, source, base)
  } catch (error) {
    if (base === null || !(error instanceof SourceError) || error.fault.code !== 'diff-unsupported') throw error
    await noteFull(deps, ref, 'diff-unsupported')
    return list(deps, ref, source, null)
  }
}

/** The base, unless it is known by now that the platform cannot compare with it. */
const usableBase = async (
  deps: PlanDeps,
  ref: DiskRef,
  source: DiskSource,
  base: DiskSource | null,
): Promise<DiskSource | null> => {
  if (base === null || (await readFullReason(deps.control, ref)) !== null) return null
  const obstacle = differentFamily(source, base)
    ? 'different-family'
    : (await deps.access.exists(base.resourceId))
      ? null
      : 'base-gone'
  if (obstacle === null) return base
  await noteFull(deps, ref, obstacle)
  return null
}

const differentFamily = (source: DiskSource, base: DiskSource): boolean =>
  source.familyId !== null && base.familyId !== null && source.familyId.toLowerCase() !== base.familyId.toLowerCase()

const list = (deps: PlanDeps, ref: DiskRef, source: DiskSource, base: DiskSource | null): Promise<DiskPlanned> =>
  withReader(deps, ref, { source, base }, async (reader) => {
    const { recoveryPointId, disk } = ref
    const { sliceBytes } = deps.limits
    const plan = await planDisk(
      { control: deps.control, clock: deps.clock, reader },
      { recoveryPointId, disk, hasBase: base !== null, sliceBytes },
    )
    return plannedOf(deps, plan)
  })

const plannedOf = (deps: PlanDeps, plan: DiskPlan): DiskPlanned => ({
  kind: 'planned',
  transfer: plan.transfer,
  slices: plan.slices,
  lanes: Math.max(1, Math.min(deps.limits.lanesMax, plan.slices)),
  sizeBytes: plan.sizeBytes,
  changedBytes: plan.changedBytes,
})

const noteFull = async (deps: PlanDeps, ref: DiskRef, reason: string): Promise<void> => {
  await createOrRead(deps.control, fullReasonName(ref.recoveryPointId, ref.disk), { reason })
}

/** Why the disk's transfer became a full one after the backup was planned; null where it did not. */
export const readFullReason = async (control: BlobReader, ref: DiskRef): Promise<string | null> =>
  (await readJson<{ readonly reason: string }>(control, fullReasonName(ref.recoveryPointId, ref.disk)))?.value.reason ??
  null
