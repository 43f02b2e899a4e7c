import { type SegmentRange, segmentNamesOf } from '../format/segment-ranges.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import type { Comparison } from './comparison.ts'
import { listDamage } from './damage-reports.ts'
import type { ImageBase } from './image-bases.ts'
import { openLayer } from './layer-reader.ts'
import { readRecoveryPoint } from './recovery-points.ts'
import { openSidecar } from './sidecar-reader.ts'

/** What a disk made from the same image can be compared with: its base's layer, if the commit record of the base still names layer and
 * sidecar, no check found them damaged, both are whole as far as their footers tell, and all segments of the layer are there. Null where any of it is not so; that
 * costs space alone. To be asked behind the intent that names the base's recovery point. */
export const usableImageBase = async (
  { vault, control }: { readonly vault: BlobReader; readonly control: BlobReader },
  base: ImageBase,
  options: CallOptions = {},
): Promise<(Comparison & { readonly kind: 'image' }) | null> => {
  if (await isReported(control, base, options)) return null
  try {
    const found = await readRecoveryPoint(vault, base, options)
    const disk = found?.recoveryPoint.disks.find(({ disk }) => disk === base.disk)
    const layer = disk?.stack.at(-1)
    const sidecar = disk?.sidecar ?? null
    if (layer?.digest !== base.layer.digest || sidecar?.digest !== base.sidecar.digest) return null
    const { footer } = await openSidecar(vault, sidecar, options)
    if (footer.layerDigest !== layer.digest) return null
    const { footer: index } = await openLayer(vault, layer, options)
    return (await haveSegments(vault, index.segmentRanges, options)) ? { kind: 'image', layer, sidecar } : null
  } catch (error) {
    return nullIfUnreadable(error)
  }
}

/** True where a check found something damaged that the base's disk or its sidecar needs. */
const isReported = async (control: BlobReader, base: ImageBase, options: CallOptions): Promise<boolean> => {
  for await (const { name, touches } of listDamage(control, base.vmKey, options)) {
    const isOfDisk = touches.some(
      ({ recoveryPointId, disk }) => recoveryPointId === base.recoveryPointId && (disk === null || disk === base.disk),
    )
    if (isOfDisk || name === `sidecars/${base.sidecar.sidecarId}`) return true
  }
  return false
}

/** One listing for each attempt that the layer needs. */
const haveSegments = async (
  vault: BlobReader,
  ranges: readonly SegmentRange[],
  options: CallOptions,
): Promise<boolean> => {
  for (const range of ranges) {
    const wanted = new Set(segmentNamesOf([range]))
    const [first = ''] = wanted
    for await (const { name } of vault.list(first.slice(0, first.lastIndexOf('-') + 1), options)) wanted.delete(name)
    if (wanted.size > 0) return false
  }
  return true
}
