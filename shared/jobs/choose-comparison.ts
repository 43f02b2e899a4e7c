import { imageOfDisk } from '../domain/disk-image.ts'
import type { RecoveryPoint } from '../domain/recovery-point.ts'
import type { VmDescription } from '../domain/vm.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader } from '../ports/blob-store.ts'
import { usableImageBase } from '../vault/choose-image-base.ts'
import type { Comparison } from '../vault/comparison.ts'
import { readCondemned } from '../vault/condemned.ts'
import { type ImageBase, imageKeyOf, readImageBase } from '../vault/image-bases.ts'
import type { Intent } from '../vault/intents.ts'
import type { PlannedDisk } from './backup-plan.ts'
import type { ChosenBase } from './choose-base.ts'

/** A disk that has no recovery point yet and was made from an image. */
export interface ImageDisk {
  readonly disk: string
  readonly image: string
  readonly imageKey: string
  /** What other disks made from it may lie on; null where nothing is known. */
  readonly base: ImageBase | null
}

/** The disks whose first backup may build on that of another disk. The recovery points of their bases belong into the intent.
 * @param latest the VM's last recovery point, or null */
export const findImageDisks = async (
  control: BlobReader,
  vm: VmDescription,
  latest: RecoveryPoint | null,
  isEncrypted: boolean,
): Promise<readonly ImageDisk[]> => {
  const found: ImageDisk[] = []
  for (const { disk } of vm.disks) {
    const image = imageOfDisk(vm, disk)
    if (image === null || stackOf(latest, disk) !== null) continue
    const imageKey = imageKeyOf(image, isEncrypted)
    found.push({ disk, image, imageKey, base: await readImageBase(control, imageKey) })
  }
  return found
}

/** Decides what each disk's transfer is compared with, should it be full. Only what the intent names is built on, and nothing that a
 * collection is about to remove. */
export const chooseComparisons = async (
  deps: { readonly vault: BlobReader; readonly control: BlobReader },
  chosen: readonly ChosenBase[],
  of: {
    readonly latest: RecoveryPoint | null
    readonly imageDisks: readonly ImageDisk[]
    readonly intent: Intent
  },
): Promise<readonly PlannedDisk[]> => {
  const planned: PlannedDisk[] = []
  for (const disk of chosen) {
    const stack = stackOf(of.latest, disk.disk)
    const made = of.imageDisks.find((candidate) => candidate.disk === disk.disk)
    if (stack !== null) planned.push({ ...disk, comparison: { kind: 'vault', stack }, image: null })
    else if (made === undefined) planned.push({ ...disk, comparison: null, image: null })
    else {
      const comparison = made.base === null ? null : await comparisonWith(deps, made.base, of.intent)
      const { image, imageKey } = made
      planned.push({ ...disk, comparison, image: comparison === null ? { image, imageKey } : null })
    }
  }
  return planned
}

const stackOf = (latest: RecoveryPoint | null, label: string) =>
  latest?.disks.find(({ disk }) => disk === label)?.stack ?? null

const comparisonWith = async (
  deps: { readonly vault: BlobReader; readonly control: BlobReader },
  base: ImageBase,
  intent: Intent,
): Promise<Comparison | null> => {
  if (!intent.dependsOn.includes(base.recoveryPointId)) return null
  if (await isCondemned(deps.control, base)) return null
  return usableImageBase(deps, base)
}

/** Doing without a base costs space alone, so a list that cannot be read condemns it. */
const isCondemned = async (control: BlobReader, { recoveryPointId, layer }: ImageBase): Promise<boolean> => {
  try {
    const condemned = await readCondemned(control)
    return condemned.recoveryPointIds.has(recoveryPointId) || condemned.layerIds.has(layer.layerId)
  } catch (error) {
    if (error instanceof VaultError) return true
    throw error
  }
}
