import type { DataKey } from '../format/data-key.ts'
import { digestBytes } from '../format/digest.ts'
import { createPageHasher } from '../format/page-hash.ts'
import { pageBytes } from '../format/sectors.ts'
import type { Run } from '../format/shard-builder.ts'
import {
  encodeSidecarFooter,
  encodeSidecarGroup,
  pageHashBytes,
  pagesPerGroup,
  type SidecarGroupEntry,
} from '../format/sidecar.ts'

/** Hashes of the pages of a slice, taken while its bytes are in memory: for a disk whose layer gets a sidecar. Memory: 4 KiB for each MiB. */
export interface PageHashes {
  /** In order of offset.
   * @param plain the bytes of the runs that are data, one after another */
  add(runs: readonly Run[], plain: Uint8Array): void
  /** The object to keep: laid out as a sidecar, of the slice index instead of a layer.
   * @param indexDigest of the slice index's footer, hex */
  finish(indexDigest: string): readonly Uint8Array[]
}

/** @param key of the slice's frames; null where they are not encrypted */
export const createPageHashes = (key: DataKey | null): PageHashes => {
  const hashOf = createPageHasher(key)
  const entries: Omit<SidecarGroupEntry, 'placeBytes'>[] = []
  const parts: Uint8Array[] = []
  const hashes = Buffer.alloc(pagesPerGroup * pageHashBytes)
  let pages: number[] = []
  let number = -1
  const closeGroup = (): void => {
    if (pages.length === 0) return
    const bytes = encodeSidecarGroup({ pages, hashes: hashes.subarray(0, pages.length * pageHashBytes) })
    entries.push({ number, lengthBytes: bytes.length, digest: digestBytes(bytes) })
    parts.push(bytes)
    pages = []
  }
  const joiner = createPageJoiner((page, bytes) => {
    const groupNumber = Math.floor(page / pagesPerGroup)
    if (groupNumber !== number) closeGroup()
    number = groupNumber
    hashes.set(hashOf(bytes), pages.length * pageHashBytes)
    pages.push(page % pagesPerGroup)
  })
  return {
    add: (runs, plain) => {
      let at = 0
      for (const { offsetBytes, lengthBytes, isZero } of runs) {
        if (isZero) continue
        joiner.add(offsetBytes, plain.subarray(at, at + lengthBytes))
        at += lengthBytes
      }
    },
    finish: (indexDigest) => {
      closeGroup()
      return [...parts, encodeSidecarFooter({ keyId: key?.keyId ?? null, layerDigest: indexDigest }, entries)]
    },
  }
}

/** Finds the pages that are data from their first byte to their last, whatever pieces they come in.
 * @param take gets each of them; the bytes are good until it returns */
const createPageJoiner = (take: (page: number, bytes: Uint8Array) => void) => {
  const pieced = Buffer.alloc(pageBytes)
  let piecedEnd = -1
  return {
    add: (offsetBytes: number, bytes: Uint8Array): void => {
      for (let at = 0; at < bytes.length; ) {
        const offset = offsetBytes + at
        const within = offset % pageBytes
        const count = Math.min(bytes.length - at, pageBytes - within)
        const piece = bytes.subarray(at, at + count)
        at += count
        if (count < pageBytes) {
          if (within !== 0 && piecedEnd !== offset) continue
          pieced.set(piece, within)
          piecedEnd = offset + count
          if (within + count < pageBytes) continue
        }
        take((offset - within) / pageBytes, count === pageBytes ? piece : pieced)
      }
    },
  }
}
