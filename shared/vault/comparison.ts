import type { LayerReference, SidecarReference } from '../domain/recovery-point.ts'

/** What a transfer of all allocated ranges is compared with, so that only what differs is stored. Plain data.
 * `vault`: the stack of this very disk at its newest recovery point, read back byte by byte.
 * `image`: the layer of another disk that was made from the same image, of which the hashes of the pages suffice. */
export type Comparison =
  | { readonly kind: 'vault'; readonly stack: readonly LayerReference[] }
  | { readonly kind: 'image'; readonly layer: LayerReference; readonly sidecar: SidecarReference }

/** The layers that the new one lies on, newest first. */
export const layersBelow = (comparison: Comparison): readonly LayerReference[] =>
  comparison.kind === 'vault' ? comparison.stack : [comparison.layer]
