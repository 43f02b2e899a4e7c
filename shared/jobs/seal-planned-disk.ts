import type { DiskReport } from '../domain/job.ts'
import type { DiskRef, Failed } from '../domain/job-ref.ts'
import { failed } from '../domain/job-ref.ts'
import type { LayerReference } from '../domain/recovery-point.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { readDiskPlan } from '../vault/disk-plan.ts'
import { readRecoveryPoint } from '../vault/recovery-points.ts'
import { sealDisk } from '../vault/seal-disk.ts'
import { type DiskToTransfer, findDisk, planMissing } from './backup-plan.ts'
import { sealedName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { createOrRead, readJson } from './json-object.ts'
import { readFullReason } from './plan-disk-transfer.ts'

/** `plans/<recoveryPointId>/sealed-<disk>.json` */
export interface SealedDisk {
  readonly stack: readonly LayerReference[]
  readonly report: DiskReport
}

export const readSealed = async (
  control: BlobReader,
  ref: Pick<DiskRef, 'recoveryPointId' | 'disk'>,
): Promise<SealedDisk | null> =>
  (await readJson<SealedDisk>(control, sealedName(ref.recoveryPointId, ref.disk)))?.value ?? null

/** Joins the slices of a disk to its layer. Key: the disk of the recovery point. The stored plan says whether the layer stands alone or
 * on those of the base: notes that were written beside it do not count. */
export const sealPlannedDisk = async (
  deps: Pick<JobDeps, 'control' | 'vault'>,
  ref: DiskRef,
): Promise<{ readonly kind: 'sealed'; readonly report: DiskReport } | Failed> => {
  const sealed = await readSealed(deps.control, ref)
  if (sealed !== null) return { kind: 'sealed', report: sealed.report }
  const disk = await findDisk(deps.control, ref)
  if ('kind' in disk) return disk
  const plan = await readDiskPlan(deps.control, ref)
  if (plan === null) return planMissing
  const isFull = plan.transfer === 'full'
  const fullReason = isFull ? (disk.planned.fullReason ?? (await readFullReason(deps.control, ref))) : null
  const parentStack = isFull ? [] : await stackOfBase(deps, ref, disk)
  if ('kind' in parentStack) return parentStack
  const { recoveryPointId, disk: label } = ref
  const { stack, report } = await sealDisk(deps, { recoveryPointId, disk: label, parentStack, fullReason })
  await createOrRead<SealedDisk>(deps.control, sealedName(recoveryPointId, label), { stack, report })
  return { kind: 'sealed', report }
}

const stackOfBase = async (
  deps: Pick<JobDeps, 'vault'>,
  ref: DiskRef,
  { planned }: DiskToTransfer,
): Promise<readonly LayerReference[] | Failed> => {
  if (planned.base === null) return planMissing
  const { recoveryPointId } = planned.base
  const base = await readRecoveryPoint(deps.vault, { vmKey: ref.vmKey, recoveryPointId })
  return (
    base?.recoveryPoint.disks.find(({ disk }) => disk === ref.disk)?.stack ??
    failed(
      'base-record-missing',
      `The recovery point ${recoveryPointId}, which this transfer was compared with, is not in the vault.`,
      'Start a new backup: without that record it is a full one.',
    )
  )
}
