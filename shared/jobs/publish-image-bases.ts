import type { RecoveryPoint } from '../domain/recovery-point.ts'
import { usableImageBase } from '../vault/choose-image-base.ts'
import { publishImageBase } from '../vault/image-bases.ts'
import type { BackupPlan } from './backup-plan.ts'
import type { JobDeps } from './job-deps.ts'

/** Lets other disks that were made from the same images build on what this recovery point holds. Comes after its commit. Key: the image;
 * a base that is there and usable stays. */
export const publishImageBases = async (
  deps: Pick<JobDeps, 'control' | 'vault'>,
  plan: BackupPlan,
  { vmKey, recoveryPointId, disks }: RecoveryPoint,
): Promise<void> => {
  for (const { disk, image } of plan.disks) {
    const committed = disks.find((candidate) => candidate.disk === disk)
    const layer = committed?.stack.at(-1)
    if (image === null || committed === undefined || committed.sidecar === null || layer === undefined) continue
    const base = { image: image.image, vmKey, recoveryPointId, disk, layer, sidecar: committed.sidecar }
    const isUsable = async (existing: typeof base) => (await usableImageBase(deps, existing)) !== null
    await publishImageBase(deps.control, image.imageKey, base, isUsable)
  }
}
