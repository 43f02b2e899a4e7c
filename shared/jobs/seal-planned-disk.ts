import type { DiskReport } from '../domain/job.ts'
import type { DiskRef, Failed } from '../domain/job-ref.ts'
import type { LayerReference, SidecarReference } from '../domain/recovery-point.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { usableImageBase } from '../vault/choose-image-base.ts'
import { layersBelow } from '../vault/comparison.ts'
import { type DiskPlan, isUnchanged, readDiskPlan } from '../vault/disk-plan.ts'
import { readImageBase } from '../vault/image-bases.ts'
import { type SealedDisk as SealedLayer, sealDisk, sealUnchanged } from '../vault/seal-disk.ts'
import { readStoredDamage } from '../vault/stored-damage.ts'
import { writeSidecar } from '../vault/write-sidecar.ts'
import { type DiskToTransfer, findDisk, planMissing, readBackupPlan } from './backup-plan.ts'
import { sealedName } from './control-names.ts'
import type { JobDeps } from './job-deps.ts'
import { decideOnce, readDecision } from './json-object.ts'
import { readFullReason } from './plan-disk-transfer.ts'

/** `plans/<recoveryPointId>/sealed-<disk>.json`; not written where nothing changed since the base. */
export interface SealedDisk {
  readonly stack: readonly LayerReference[]
  /** Null where none was made. */
  readonly sidecar: SidecarReference | null
  readonly report: DiskReport
}

/** Null where the disk is not sealed. @throws VaultError */
export const readSealed = async (
  control: BlobReader,
  ref: Pick<DiskRef, 'recoveryPointId' | 'disk'>,
): Promise<SealedDisk | null> => {
  const plan = await readDiskPlan(control, ref)
  if (plan !== null && isUnchanged(plan)) return unchanged(control, plan)
  return readDecision<SealedDisk>(control, sealedName(ref.recoveryPointId, ref.disk))
}

/** Everything about the seal of such a disk is settled by plans, which never change: it is made anew whenever it is asked for. */
const unchanged = async (control: BlobReader, plan: DiskPlan): Promise<SealedDisk | null> => {
  const planned = (await readBackupPlan(control, plan.recoveryPointId))?.disks.find(({ disk }) => disk === plan.disk)
  if (planned?.base == null) return null
  const { stack, report } = sealUnchanged(plan, planned.base.stack, null)
  return { stack, sidecar: null, report }
}

/** Joins the slices of a disk to its layer. Key: the disk of the recovery point. The stored plan says whether the layer stands alone, on
 * those of the base, or on what it was compared with: notes that were written beside it do not count. */
export const sealPlannedDisk = async (
  deps: SealDeps,
  ref: DiskRef,
): Promise<{ readonly kind: 'sealed'; readonly report: DiskReport } | Failed> => {
  const sealed = await readSealed(deps.control, ref)
  if (sealed !== null) return { kind: 'sealed', report: sealed.report }
  const disk = await findDisk(deps.control, ref)
  if ('kind' in disk) return disk
  const plan = await readDiskPlan(deps.control, ref)
  if (plan === null) return planMissing
  const fullReason = plan.transfer === 'full' ? await fullReasonOf(deps, ref, disk) : null
  const parentStack = parentsOf(disk, plan)
  if ('kind' in parentStack) return parentStack
  const { recoveryPointId, disk: label } = ref
  const made = await sealDisk(deps, { recoveryPointId, disk: label, parentStack, fullReason })
  const { stack, report } = made
  const sidecar = parentStack.length > 0 ? null : await sidecarOf(deps, ref, disk, made)
  await decideOnce<SealedDisk>(deps.control, sealedName(recoveryPointId, label), { stack, sidecar, report })
  return { kind: 'sealed', report }
}

type SealDeps = Pick<JobDeps, 'control' | 'vault'>

const fullReasonOf = async (deps: SealDeps, ref: DiskRef, { planned }: DiskToTransfer): Promise<string | null> => {
  if ((await readStoredDamage(deps.control, ref)) !== null) return 'stored-bytes-damaged'
  return planned.fullReason ?? (await readFullReason(deps.control, ref))
}

const parentsOf = (disk: DiskToTransfer, { transfer, comparedWith }: DiskPlan): readonly LayerReference[] | Failed => {
  if (transfer === 'incremental') return disk.planned.base?.stack ?? planMissing
  if (comparedWith === null) return []
  return disk.planned.comparison === null ? planMissing : layersBelow(disk.planned.comparison)
}

/** Only for the first disk of its image: one base is enough. */
const sidecarOf = async (
  deps: SealDeps,
  { recoveryPointId, disk }: DiskRef,
  { plan: { encoding }, planned: { image } }: DiskToTransfer,
  { layer, slices }: SealedLayer,
): Promise<SidecarReference | null> => {
  if (layer === null || image === null || (await isPublished(deps, image.imageKey))) return null
  return writeSidecar(deps, { recoveryPointId, disk, layer, slices, keyId: encoding.keyId })
}

const isPublished = async (deps: SealDeps, imageKey: string): Promise<boolean> => {
  const base = await readImageBase(deps.control, imageKey)
  return base !== null && (await usableImageBase(deps, base)) !== null
}
