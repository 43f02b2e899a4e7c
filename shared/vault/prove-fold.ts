import type { LayerReference } from '../domain/recovery-point.ts'
import type { Birth } from '../format/frame.ts'
import { layerName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { type Overlay, openLayers, shownBy } from './fold-layers.ts'
import type { MergedRun } from './merge-layers.ts'

/** Reads a folded layer back from the store and compares it, offset by offset, with what the layers it stands for show: the same bytes of the
 * same frame (birth, digest, position), or zeros, or nothing. Equal here means equal in every stack in which exactly these layers are
 * replaced by it. Memory: a shard and a footer of each layer.
 * @param request `isLowest`: below the layers is nothing, so that zeros and nothing are the same; `overlay`: proven to show the same bytes as the
 * layers where it has runs
 * @throws VaultError `twin-differs` where they are not equal; whatever reading a damaged layer throws */
export const proveFold = async (
  reader: BlobReader,
  request: {
    readonly layers: readonly LayerReference[]
    readonly folded: LayerReference
    readonly isLowest: boolean
    readonly overlay?: Overlay
  },
  options: CallOptions = {},
): Promise<void> => {
  const [layers, folded] = [request.layers, [request.folded]]
  const shown = shownBy(reader, await openLayers(reader, layers, options), options, request.overlay)
  const made = shownBy(reader, await openLayers(reader, folded, options), options)
  try {
    if (!(await areEqual(shown, made, request.isLowest)))
      throw new VaultError({ code: 'twin-differs', name: layerName(request.folded.layerId) })
  } finally {
    await shown.return(undefined)
    await made.return(undefined)
  }
}

/** Both cover the disk without holes; their runs are cut at different places. */
const areEqual = async (
  one: AsyncGenerator<MergedRun>,
  other: AsyncGenerator<MergedRun>,
  isLowest: boolean,
): Promise<boolean> => {
  let a = await one.next()
  let b = await other.next()
  while (!a.done && !b.done) {
    if (!isSameHere(a.value, b.value, isLowest)) return false
    const lengthBytes = Math.min(a.value.lengthBytes, b.value.lengthBytes)
    a = lengthBytes < a.value.lengthBytes ? { done: false, value: behind(a.value, lengthBytes) } : await one.next()
    b = lengthBytes < b.value.lengthBytes ? { done: false, value: behind(b.value, lengthBytes) } : await other.next()
  }
  return a.done === b.done
}

const behind = (run: MergedRun, lengthBytes: number): MergedRun => ({
  ...run,
  offsetBytes: run.offsetBytes + lengthBytes,
  lengthBytes: run.lengthBytes - lengthBytes,
  framePosition: run.framePosition + lengthBytes,
})

const isSameHere = (a: MergedRun, b: MergedRun, isLowest: boolean): boolean => {
  if (a.offsetBytes !== b.offsetBytes) return false
  if (a.frame === null || b.frame === null) {
    const areZero = a.frame === null && b.frame === null
    return areZero && (isLowest || (a.layer === -1) === (b.layer === -1))
  }
  if (a.framePosition !== b.framePosition || a.frame.plainBytes !== b.frame.plainBytes) return false
  return Buffer.compare(a.frame.digest, b.frame.digest) === 0 && isSameBirth(a.frame.birth, b.frame.birth)
}

const isSameBirth = (a: Birth, b: Birth): boolean =>
  a.ordinal === b.ordinal &&
  a.attempt === b.attempt &&
  a.slice === b.slice &&
  a.disk === b.disk &&
  a.recoveryPointId === b.recoveryPointId
