import type { LayerReference } from '../domain/recovery-point.ts'
import { nullIfDamaged } from '../format/vault-error.ts'
import type { BlobReader, CallOptions } from '../ports/blob-store.ts'
import { listRecoveryPoints, readRevision } from './recovery-points.ts'

/** What compaction needs of a recovery point that can be restored. */
export interface LivePoint {
  readonly recoveryPointId: string
  /** The newest there is. */
  readonly revision: number
  readonly disks: readonly LiveDisk[]
}

/** One disk of a recovery point, as far as compaction and mending look at it. */
export interface LiveDisk {
  readonly disk: string
  /** Newest first. */
  readonly stack: readonly LayerReference[]
  /** The layer whose pages have a sidecar, as others may build on it; null where there is none. */
  readonly sharedLayerId: string | null
}

/** All recovery points of the VM that can be restored, newest first. One whose record is damaged is left out: nothing is done to it, and what it
 * may refer to is not this reader's to judge. Memory: the stacks, a layer that many of them share is one object.
 * @throws VaultError `unsupported-version` where a record is of a later format */
export const readLivePoints = async (
  reader: BlobReader,
  vmKey: string,
  options: CallOptions = {},
): Promise<readonly LivePoint[]> => {
  const share = sharing()
  const listed: { readonly recoveryPointId: string; readonly revision: number }[] = []
  for await (const entry of listRecoveryPoints(reader, vmKey, options)) listed.push(entry)
  const points: LivePoint[] = []
  for (let at = 0; at < listed.length; at += readsInFlightMax) {
    const reads = listed
      .slice(at, at + readsInFlightMax)
      .map(({ recoveryPointId, revision }) => readPoint(reader, { vmKey, recoveryPointId }, revision, share, options))
    for (const point of await Promise.all(reads)) if (point !== null) points.push(point)
  }
  return points.reverse()
}

const readsInFlightMax = 8

const readPoint = async (
  reader: BlobReader,
  key: { readonly vmKey: string; readonly recoveryPointId: string },
  revision: number,
  share: (layer: LayerReference) => LayerReference,
  options: CallOptions,
): Promise<LivePoint | null> => {
  try {
    const found = await readRevision(reader, key, revision, options)
    if (found === null || !('disks' in found.record)) return null
    const disks = found.record.disks.map(({ disk, stack, sidecar }) => ({
      disk,
      stack: stack.map(share),
      sharedLayerId: sidecar?.sidecarId ?? null,
    }))
    return { recoveryPointId: key.recoveryPointId, revision, disks }
  } catch (error) {
    return nullIfDamaged(error)
  }
}

const sharing = () => {
  const known = new Map<string, LayerReference>()
  return (layer: LayerReference): LayerReference => {
    const key = `${layer.layerId} ${layer.digest}`
    const first = known.get(key) ?? layer
    known.set(key, first)
    return first
  }
}
