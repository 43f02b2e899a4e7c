import type { LayerReference } from '../domain/recovery-point.ts'
import { nullIfUnreadable } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { indexOfFold, openLayers } from './fold-layers.ts'
import { type LiveDisk, readLivePoints } from './live-points.ts'
import { madeAgain, type RecoveredLayer } from './recovered-layer.ts'
import { readRevision } from './recovery-points.ts'

type Stack = readonly LayerReference[]

/** Folds once more what a folded layer was made of, found in older revisions of the recovery points that have it. Their layers are collected
 * sooner or later, but under an immutability policy they stay. A fold whose frames were moved does not come out the same, and is not
 * recovered. */
export const recoverFold = async (
  vault: BlobReader,
  { vmKey, layer }: { readonly vmKey: string; readonly layer: LayerReference },
  options: CallOptions,
): Promise<RecoveredLayer | null> => {
  const tried = new Set<string>()
  for (const { recoveryPointId, revision, disks } of await readLivePoints(vault, vmKey, options))
    for (const disk of disks.filter(({ stack }) => stack.some(({ layerId }) => layerId === layer.layerId)))
      for (let older = revision - 1; older > 0; older -= 1) {
        const from = replacedIn(
          await stackAt(vault, { vmKey, recoveryPointId }, older, disk, options),
          disk.stack,
          layer,
        )
        const key = from.map(({ digest }) => digest).join()
        if (from.length === 0 || tried.has(key)) continue
        tried.add(key)
        const recovered = await foldAgain(vault, layer, from, options).catch(nullIfUnreadable)
        if (recovered !== null) return recovered
      }
  return null
}

const stackAt = async (
  vault: BlobReader,
  key: { readonly vmKey: string; readonly recoveryPointId: string },
  revision: number,
  { disk }: LiveDisk,
  options: CallOptions,
): Promise<Stack> => {
  const found = await readRevision(vault, key, revision, options).catch(nullIfUnreadable)
  if (found === null || !('disks' in found.record)) return []
  return found.record.disks.find((candidate) => candidate.disk === disk)?.stack ?? []
}

/** What stood in the older stack between the neighbours that the layer has now. */
const replacedIn = (older: Stack, stack: Stack, { layerId }: LayerReference): Stack => {
  const at = stack.findIndex((layer) => layer.layerId === layerId)
  const placeOf = (neighbour: LayerReference | undefined): number =>
    older.findIndex((layer) => layer.layerId === neighbour?.layerId)
  const above = at === 0 ? -1 : placeOf(stack[at - 1])
  const below = at === stack.length - 1 ? older.length : placeOf(stack[at + 1])
  const isUnknown = (at > 0 && above === -1) || below === -1
  const between = isUnknown ? [] : older.slice(above + 1, below)
  return between.some((layer) => layer.layerId === layerId) ? [] : between
}

/** Whether zeros were kept is not written down; the digest tells. */
const foldAgain = async (
  vault: BlobReader,
  layer: LayerReference,
  from: Stack,
  options: CallOptions,
): Promise<RecoveredLayer | null> => {
  const [id = '', disk = ''] = layer.layerId.split('/')
  const layers = await openLayers(vault, from, options)
  const attempt = (isLowest: boolean) =>
    madeAgain(layer, () => indexOfFold(vault, layers, { id, disk, layers: from, isLowest }, options).pieces())
  return (await attempt(false)) ?? attempt(true)
}
