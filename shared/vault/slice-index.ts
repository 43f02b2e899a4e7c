import {
  footerLengthOf,
  footerTailBytes,
  type IndexFooter,
  type IndexHead,
  openIndexFooter,
} from '../format/index-footer.ts'
import { type DiskKey, type SliceKey, sliceIndexName } from '../format/names.ts'
import { segmentCountOf } from '../format/segment-ranges.ts'
import { VaultError } from '../format/vault-error.ts'
import type { CallOptions, ObjectReader } from '../ports/blob-store.ts'
import { callOptions } from './objects.ts'
import { requireBirth } from './parse-record.ts'

/** What the transfer of one slice came to. Bytes are of the raw disk unless said otherwise. */
export interface SliceStats {
  readonly slice: number
  /** As the platform named them, data and cleared. */
  readonly changedBytes: number
  /** Received from the source by the attempt that counts: data ranges, joined holes, and what was read again after a fault. */
  readonly readBytes: number
  /** Holes that the read planner read through, as that is cheaper than another request. */
  readonly joinedBytes: number
  /** Requests that the source answered. */
  readonly readCalls: number
  /** Stored, before compression. */
  readonly dataBytes: number
  /** Found or named to be zero: recorded, not stored. */
  readonly zeroBytes: number
  /** Length of the objects made: segments and slice index. */
  readonly storedBytes: number
  readonly milliseconds: number
  readonly frames: number
  readonly segments: number
}

/** A whole slice index, its footer proven; the shards are proven by whoever uses them. */
export interface SliceIndex {
  readonly name: string
  readonly bytes: Uint8Array
  readonly footer: IndexFooter
}

/** What the slice came to, or null while it is not committed. @throws VaultError */
export const findSlice = async (
  vault: ObjectReader,
  key: SliceKey & { readonly signal?: AbortSignal },
): Promise<SliceStats | null> => {
  const index = await readSliceIndex(vault, key, callOptions(key.signal))
  return index === null ? null : statsOf(index.footer, index.bytes.length)
}

/** The whole index, which a slice has once it is committed; null before. At most 64 MiB, as ObjectReader.read has it.
 * @throws VaultError where the footer is damaged or that of another slice */
export const readSliceIndex = async (
  vault: ObjectReader,
  key: SliceKey,
  options: CallOptions,
): Promise<SliceIndex | null> => {
  const name = sliceIndexName(key)
  const content = await vault.read(name, options)
  if (content === null) return null
  const footer = footerAtEnd(content.bytes, name)
  checkKey(footer, key, name, 'slice')
  requireBirth(name, `slice ${key.slice}`, `slice ${footer.slice}`)
  return { name, bytes: content.bytes, footer }
}

/** @param head the footer's, or what goes into it
 * @param indexBytes length of the slice index */
export const statsOf = (head: IndexHead, indexBytes: number): SliceStats => ({
  slice: head.slice,
  changedBytes: head.changedBytes,
  readBytes: head.readBytes,
  joinedBytes: head.joinedBytes,
  readCalls: head.readCalls,
  dataBytes: head.dataBytes,
  zeroBytes: head.zeroBytes,
  storedBytes: head.segmentBytes + indexBytes,
  milliseconds: head.milliseconds,
  frames: head.frames,
  segments: segmentCountOf(head.segmentRanges),
})

/** @throws VaultError `wrong-birth` where the index is of another disk or of another kind than its name says */
export const checkKey = (footer: IndexFooter, key: DiskKey, name: string, kind: 'slice' | 'layer'): void => {
  const expected = `${kind} of ${key.recoveryPointId}/${key.disk}`
  const actual = `${footer.kind} of ${footer.recoveryPointId}/${footer.disk}`
  requireBirth(name, expected, actual)
}

const footerAtEnd = (bytes: Uint8Array, name: string): IndexFooter => {
  const tailPlace = bytes.length - footerTailBytes
  if (tailPlace < 0) throw new VaultError({ code: 'short', name, place: footerTailBytes })
  const place = bytes.length - footerLengthOf(bytes.subarray(tailPlace), { name, place: tailPlace })
  if (place < 0)
    throw new VaultError({ code: 'malformed', name, place: tailPlace, detail: 'the footer length is wrong' })
  return openIndexFooter(bytes.subarray(place), { name, place }, bytes.length)
}
