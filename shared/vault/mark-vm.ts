import type { LayerReference } from '../domain/recovery-point.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader, CallOptions, ControlStore } from '../ports/blob-store.ts'
import { inBatches } from './in-batches.ts'
import { openLayer } from './layer-reader.ts'
import { type ListedPoint, type ListedVm, newestOf } from './list-vm-keys.ts'
import { readRevision } from './recovery-points.ts'
import { type LayerMark, type PointMark, readMarks, type VmMarks, writeMarks } from './vm-marks.ts'

/** Records and footers read at the same time; the footer of a full 32 TiB disk has 8 MiB. */
const readsAtOnce = 16

/** Brings the marks of one VM up to date: reads the records that were not marked before, and the footers of the layers that they are the
 * first to name. What cannot be read is not marked. Key: the VM; repeatable, also at the same time. Memory: the marks of one VM.
 * @param vm as listed; what has come since is for the next time
 * @returns the marks as they are from here on */
export const markVm = async (
  { vault, control }: { readonly vault: BlobReader; readonly control: ControlStore },
  vm: ListedVm,
  options: CallOptions = {},
): Promise<VmMarks> => {
  const before = await readMarks(control, vm.vmKey, options)
  const points = new Map<string, PointMark>()
  const unmarked: ListedPoint[] = []
  for (const listed of newestOf(vm)) {
    const mark = markOf(before, listed)
    if (mark === null) unmarked.push(listed)
    else points.set(listed.recoveryPointId, mark)
  }
  if (unmarked.length === 0 && points.size === before.points.size) return before
  const layers = new Map<string, LayerMark>()
  const known = (layerId: string): LayerMark | undefined => layers.get(layerId) ?? before.layers.get(layerId)
  const footers = new Map<string, Promise<LayerMark | null>>()
  const footerOf = (layer: LayerReference): Promise<LayerMark | null> => {
    const reading = footers.get(layer.layerId) ?? readFooter(vault, layer, options)
    footers.set(layer.layerId, reading)
    return reading
  }
  await inBatches(unmarked, readsAtOnce, async (listed) => {
    const read = await readPoint(vault, listed, options)
    if (read === null) return
    let isWhole = true
    for (const layer of read.stack) {
      const footer = known(layer.layerId) ?? (await footerOf(layer))
      if (footer === null) isWhole = false
      else layers.set(layer.layerId, footer)
    }
    if (isWhole) points.set(listed.recoveryPointId, read.mark)
  })
  const named = new Map<string, LayerMark>()
  for (const { layerIds } of points.values())
    for (const layerId of layerIds) {
      const mark = known(layerId)
      if (mark !== undefined) named.set(layerId, mark)
    }
  const marks = { points, layers: named, settled: before.settled }
  await writeMarks(control, vm.vmKey, marks, options)
  return marks
}

/** The mark of the very object that was listed; null where there is none. */
export const markOf = (
  { points }: Pick<VmMarks, 'points'>,
  { recoveryPointId, revision, etag }: ListedPoint,
): PointMark | null => {
  const mark = points.get(recoveryPointId)
  return mark?.revision === revision && mark.etag === etag ? mark : null
}

/** Null where it is gone or cannot be read. */
const readPoint = async (
  vault: BlobReader,
  { vmKey, recoveryPointId, revision, etag }: ListedPoint,
  options: CallOptions,
): Promise<{ readonly mark: PointMark; readonly stack: readonly LayerReference[] } | null> => {
  const found = await readRevision(vault, { vmKey, recoveryPointId }, revision, options).catch(nullIfUnreadable)
  if (found === null) return null
  const { record } = found
  if (!('disks' in record)) {
    const state = 'aborted' in record ? 'aborted' : 'expired'
    return {
      mark: { revision, etag, state, takenAt: null, layerIds: [], sidecarIds: [], isSearched: false },
      stack: [],
    }
  }
  const stack = [...new Map(record.disks.flatMap((disk) => disk.stack).map((layer) => [layer.layerId, layer])).values()]
  const layerIds = stack.map(({ layerId }) => layerId)
  const sidecarIds = record.disks.flatMap(({ sidecar }) => sidecar?.sidecarId ?? [])
  return {
    mark: { revision, etag, state: 'live', takenAt: record.takenAt, layerIds, sidecarIds, isSearched: false },
    stack,
  }
}

const readFooter = async (
  vault: BlobReader,
  layer: LayerReference,
  options: CallOptions,
): Promise<LayerMark | null> => {
  const opened = await openLayer(vault, layer, options).catch(nullIfUnreadable)
  return opened === null ? null : { lengthBytes: layer.lengthBytes, segments: opened.footer.segmentRanges }
}
