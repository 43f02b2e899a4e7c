import type { LayerReference, SidecarReference } from '../domain/recovery-point.ts'
import { layerName } from '../format/names.ts'
import type { CheckedPoint } from './scrub-records.ts'

/** What the recovery points of one VM need, each object once. */
export interface VmContents {
  readonly points: readonly CheckedPoint[]
  /** By the names of their objects. */
  readonly layers: ReadonlyMap<string, LayerReference>
  readonly sidecars: ReadonlyMap<string, { readonly reference: SidecarReference; readonly sizeBytes: number }>
}

/** Objects that several recovery points share are listed once, as the last of them names them. */
export const contentsOf = (points: readonly CheckedPoint[]): VmContents => {
  const layers = new Map<string, LayerReference>()
  const sidecars = new Map<string, { readonly reference: SidecarReference; readonly sizeBytes: number }>()
  for (const { stack, sidecar, sizeBytes } of points.flatMap(({ disks }) => disks)) {
    for (const reference of stack) layers.set(layerName(reference.layerId), reference)
    if (sidecar !== null) sidecars.set(`sidecars/${sidecar.sidecarId}`, { reference: sidecar, sizeBytes })
  }
  return { points, layers, sidecars }
}
