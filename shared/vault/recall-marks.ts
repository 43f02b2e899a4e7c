import { parseVaultName } from '../format/vault-name.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { listDamage } from './damage-reports.ts'
import { inBatches } from './in-batches.ts'
import { type ListedVm, listVms, newestOf } from './list-vm-keys.ts'
import { markOf } from './mark-vm.ts'
import type { Reachability } from './reachability.ts'
import { type PointMark, readMarks, type VmMarks } from './vm-marks.ts'

/** Marks of VMs read at the same time; those of a VM with thousands of recovery points have some megabytes. */
const readsAtOnce = 8

/** Marks what is known to be needed of recovery points whose newest record is the object that was marked: as if that had been read here and now, as
 * it never changes. Left out, and read by whoever comes next: points of which a layer is gone, or whose record or layers are reported as
 * damaged. Nothing is given up while these are not whole. Memory: what `reach` keeps.
 * @param layers lengths in bytes of those that are there, by id */
export const recallMarks = async (
  { vault, control }: { readonly vault: BlobReader; readonly control: BlobReader },
  reach: Reachability,
  layers: ReadonlyMap<string, number>,
  options: CallOptions,
): Promise<void> => {
  const damaged = await damagedObjects(control, options)
  await inBatches(listVms(vault, null, options), readsAtOnce, async (vm) =>
    recallVm(reach, vm, await readMarks(control, vm.vmKey, options), {
      isSound: (recoveryPointId) => !damaged.points.has(recoveryPointId),
      isThere: (layerId, lengthBytes) =>
        layers.has(layerId) && layers.get(layerId) === lengthBytes && !damaged.layers.has(layerId),
    }),
  )
}

interface Known {
  readonly isSound: (recoveryPointId: string) => boolean
  readonly isThere: (layerId: string, lengthBytes: number | undefined) => boolean
}

const damagedObjects = async (control: BlobReader, options: CallOptions) => {
  const points = new Set<string>()
  const layers = new Set<string>()
  for await (const { name } of listDamage(control, null, options)) {
    const parsed = parseVaultName(name)
    if (parsed.kind === 'recoveryPoint') points.add(parsed.recoveryPointId)
    if (parsed.kind === 'layer') layers.add(`${parsed.id}/${parsed.disk}`)
  }
  return { points, layers }
}

const recallVm = (reach: Reachability, vm: ListedVm, marks: VmMarks, { isSound, isThere }: Known): void => {
  for (const listed of newestOf(vm)) {
    const mark = markOf(marks, listed)
    if (mark === null || !isSound(listed.recoveryPointId)) continue
    if (!mark.layerIds.every((layerId) => isThere(layerId, marks.layers.get(layerId)?.lengthBytes))) continue
    addPoint(reach, marks, mark)
    const { vmKey, recoveryPointId, revision, hasOlder } = listed
    reach.points.set(recoveryPointId, { vmKey, newest: revision, hasOlder, state: mark.state })
  }
}

const addPoint = (reach: Reachability, { layers }: VmMarks, { layerIds, sidecarIds }: PointMark): void => {
  for (const sidecarId of sidecarIds) reach.sidecars.add(sidecarId)
  for (const layerId of layerIds) {
    if (reach.layers.has(layerId)) continue
    reach.layers.add(layerId)
    reach.addSegments(layers.get(layerId)?.segments ?? [])
  }
}
