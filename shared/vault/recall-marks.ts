import { layersRoot } from '../format/names.ts'
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
 * it never changes. Left out, and read by whoever comes next: a point of which a layer is gone, and all points of VMs that damage is reported of,
 * so that nothing is given up because of what only an undamaged record would have told. */
export const recallMarks = async (
  { vault, control }: { readonly vault: BlobReader; readonly control: BlobReader },
  reach: Reachability,
  options: CallOptions,
): Promise<void> => {
  const layers = await lengthsOfLayers(vault, options)
  const damaged = new Set<string>()
  for await (const { vmKey } of listDamage(control, null, options)) damaged.add(vmKey)
  await inBatches(listVms(vault, null, options), readsAtOnce, async (vm) => {
    if (!damaged.has(vm.vmKey)) recallVm(reach, vm, await readMarks(control, vm.vmKey, options), layers)
  })
}

const recallVm = (reach: Reachability, vm: ListedVm, marks: VmMarks, present: ReadonlyMap<string, number>): void => {
  const isThere = (layerId: string): boolean => present.get(layerId) === marks.layers.get(layerId)?.lengthBytes
  for (const listed of newestOf(vm)) {
    const mark = markOf(marks, listed)
    if (mark === null || !mark.layerIds.every((layerId) => present.has(layerId) && isThere(layerId))) continue
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

/** By layer id. */
const lengthsOfLayers = async (vault: BlobReader, options: CallOptions): Promise<ReadonlyMap<string, number>> => {
  const lengths = new Map<string, number>()
  for await (const { name, lengthBytes } of vault.list(layersRoot, options))
    lengths.set(name.slice(layersRoot.length), lengthBytes)
  return lengths
}
