import { createHash } from 'node:crypto'
import { openLayers, shownBy } from '../../shared/vault/fold-layers.ts'
import { placeOf } from '../../shared/vault/frame-usage.ts'
import { listLiveRecoveryPoints } from '../../shared/vault/recovery-points.ts'
import type { CompactionWorld, Truth } from './compaction-world.ts'
import type { MemoryBlobStore } from './memory-blob-store.ts'
import { vmKey } from './vault-world.ts'

const pageBytes = 4096

/** Bytes of the distinct pages, zeros left out, that any of the recovery points shows: what a vault has to store at least. */
export const distinctBytes = (truths: Iterable<Truth>): number => {
  const pages = new Set<string>()
  const zero = Buffer.alloc(pageBytes)
  for (const truth of truths)
    for (const [disk, bytes] of truth)
      for (let at = 0; at < bytes.length; at += pageBytes) {
        const page = bytes.subarray(at, at + pageBytes)
        if (!page.equals(zero)) pages.add(`${disk}/${at}/${createHash('sha256').update(page).digest('hex')}`)
      }
  return pages.size * pageBytes
}

export const storedSegmentBytes = ({ objects }: MemoryBlobStore): number =>
  [...objects].reduce((sum, [name, { bytes }]) => (name.startsWith('segments/') ? sum + bytes.length : sum), 0)

/** How many times the bytes of the newest recovery point's data its restore opens, over all disks. */
export const readShare = async ({ vault }: CompactionWorld): Promise<number> => {
  let newest = null
  for await (const { recoveryPoint } of listLiveRecoveryPoints(vault, vmKey)) newest = recoveryPoint
  const frames = new Map<string, number>()
  let shownBytes = 0
  for (const { stack } of newest?.disks ?? [])
    for await (const { frame, lengthBytes } of shownBy(vault, await openLayers(vault, stack, {}), {})) {
      if (frame === null) continue
      frames.set(placeOf(frame), frame.plainBytes)
      shownBytes += lengthBytes
    }
  return [...frames.values()].reduce((sum, plainBytes) => sum + plainBytes, 0) / shownBytes
}
