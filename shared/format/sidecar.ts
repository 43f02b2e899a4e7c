import assert from 'node:assert/strict'
import { createByteReader, type Origin } from './byte-reader.ts'
import { createByteWriter } from './byte-writer.ts'
import { digestBytes, hexOf } from './digest.ts'
import { formatVersion, pageBytes } from './sectors.ts'
import { VaultError } from './vault-error.ts'

/** Pages whose hashes lie together; a group covers this many pages of the disk. */
export const pagesPerGroup = 4096
/** Bytes of the disk that a group covers: 16 MiB. */
export const groupDiskBytes = pagesPerGroup * pageBytes
/** So much of a page's hash is kept (docs/format.md, section 8). */
export const pageHashBytes = 16
const bitmapBytes = pagesPerGroup / 8

/** The hashes of one group's pages, in order of page; `pages` are numbers within the group, ascending. */
export interface PageHashes {
  readonly pages: readonly number[]
  /** One after another. */
  readonly hashes: Uint8Array
}

/** Place and digest of one group. */
export interface SidecarGroupEntry {
  /** Offset on the disk divided by the bytes that a group covers. */
  readonly number: number
  readonly placeBytes: number
  readonly lengthBytes: number
  readonly digest: Uint8Array
}

/** The footer of a sidecar, proven. Entries are decoded as they are asked for. */
export interface SidecarFooter {
  /** The data key that the hashes are keyed with; null where they have none. */
  readonly keyId: string | null
  /** Digest of the layer whose pages these are, hex. */
  readonly layerDigest: string
  /** SHA-256 of the footer before its tail, hex: the sidecar's digest. */
  readonly digest: string
  readonly footerBytes: number
  /** In order of offset. */
  groups(): Generator<SidecarGroupEntry>
  /** The group that covers this part of the disk; null where the layer has no whole page of data there. */
  find(number: number): SidecarGroupEntry | null
}

/** One group, proven. */
export interface SidecarGroup {
  /** The 16 bytes of the page's hash, a view; null where the layer has no data on all of the page.
   * @param page number within the group */
  hashOf(page: number): Uint8Array | null
}

const magic = Buffer.from('DVPAGES\0', 'latin1')
const endMagic = Buffer.from('DVPAGEND', 'latin1')
const headBytes = 64
const entryBytes = 48
/** Digest, length of the footer, magic: what stands at a sidecar's end. */
export const sidecarTailBytes = 44

/** @param page as in PageHashes: at least one page */
export const encodeSidecarGroup = ({ pages, hashes }: PageHashes): Buffer => {
  assert(hashes.length === pages.length * pageHashBytes, 'each page has a hash')
  const bytes = Buffer.alloc(bitmapBytes + hashes.length)
  let last = -1
  for (const page of pages) {
    assert(page > last && page < pagesPerGroup, 'pages ascend')
    bytes[page >>> 3] = (bytes[page >>> 3] ?? 0) | (1 << (page & 7))
    last = page
  }
  bytes.set(hashes, bitmapBytes)
  return bytes
}

/** @param groups in order of number; they lie one after another from byte 0 */
export const encodeSidecarFooter = (
  of: { readonly keyId: string | null; readonly layerDigest: string },
  groups: readonly Omit<SidecarGroupEntry, 'placeBytes'>[],
): Buffer => {
  const writer = createByteWriter(headBytes + groups.length * entryBytes + sidecarTailBytes)
  writer.raw(magic)
  writer.u8(formatVersion)
  writer.zeros(3)
  writer.u32(groups.length)
  writer.raw(of.keyId === null ? Buffer.alloc(16) : Buffer.from(of.keyId, 'hex'))
  writer.raw(Buffer.from(of.layerDigest, 'hex'))
  for (const { number, lengthBytes, digest } of groups) {
    writer.u64(number)
    writer.u32(lengthBytes)
    writer.zeros(4)
    writer.raw(digest)
  }
  writer.raw(digestBytes(writer.view()))
  writer.u32(writer.lengthBytes + 12)
  writer.raw(endMagic)
  return writer.finish()
}

/** Length of the footer, from the last `sidecarTailBytes` bytes of the object. */
export const sidecarFooterLengthOf = (tail: Uint8Array, origin: Origin): number => {
  const reader = createByteReader(tail, origin, tail.length - 12)
  const length = reader.u32()
  reader.magic(endMagic)
  return length
}

/** @param bytes the footer, exactly
 * @param objectBytes length of the whole object: the groups must fill what is before the footer
 * @throws VaultError */
export const openSidecarFooter = (bytes: Uint8Array, origin: Origin, objectBytes: number): SidecarFooter => {
  const reader = createByteReader(bytes, origin)
  if (bytes.length < headBytes + sidecarTailBytes || sidecarFooterLengthOf(bytes, origin) !== bytes.length)
    reader.fail('the footer length is wrong')
  const bodyBytes = bytes.length - sidecarTailBytes
  const digest = provenDigest(bytes.subarray(0, bodyBytes), bytes.subarray(bodyBytes, bodyBytes + 32), origin)
  reader.magic(magic)
  reader.version()
  reader.zeros(3)
  const count = reader.u32()
  const key = reader.raw(16)
  const layerDigest = hexOf(reader.raw(32))
  if (headBytes + count * entryBytes !== bodyBytes) reader.fail('the groups do not fit')
  const table = bytes.subarray(headBytes, bodyBytes)
  const { groups, find, groupsBytes } = openGroupTable(table, { ...origin, place: origin.place + headBytes })
  if (groupsBytes + bytes.length !== objectBytes) reader.fail('the object has another length than its parts')
  const keyId = key.every((byte) => byte === 0) ? null : hexOf(key)
  return { keyId, layerDigest, digest, footerBytes: bytes.length, groups, find }
}

/** @param table the groups' entries, exactly */
const openGroupTable = (table: Uint8Array, origin: Origin) => {
  const count = table.length / entryBytes
  const places = new Float64Array(count)
  const entryAt = (index: number): SidecarGroupEntry => {
    const entry = createByteReader(table, origin, index * entryBytes)
    const numbers = { number: entry.u64(), lengthBytes: entry.u32() }
    entry.zeros(4)
    return { ...numbers, digest: entry.raw(32), placeBytes: places[index] ?? 0 }
  }
  let groupsBytes = 0
  let before = -1
  for (let index = 0; index < count; index += 1) {
    const { number, lengthBytes } = entryAt(index)
    if (lengthBytes > bitmapBytes + pagesPerGroup * pageHashBytes)
      throw new VaultError({ code: 'malformed', ...origin, detail: 'a group is longer than its pages' })
    if (number <= before)
      throw new VaultError({ code: 'malformed', ...origin, detail: 'the groups of the sidecar are not sorted' })
    places[index] = groupsBytes
    groupsBytes += lengthBytes
    before = number
  }
  function* groups(): Generator<SidecarGroupEntry> {
    for (let index = 0; index < count; index += 1) yield entryAt(index)
  }
  const find = (number: number): SidecarGroupEntry | null => {
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (entryAt(middle).number < number) low = middle + 1
      else high = middle
    }
    const entry = low < count ? entryAt(low) : null
    return entry?.number === number ? entry : null
  }
  return { groups, find, groupsBytes }
}

/** @param bytes the group, exactly
 * @throws VaultError where a byte is not what the footer's entry says */
export const openSidecarGroup = (bytes: Uint8Array, entry: SidecarGroupEntry, name: string): SidecarGroup => {
  const origin = { name, place: entry.placeBytes }
  provenDigest(bytes, entry.digest, origin)
  const reader = createByteReader(bytes, origin)
  const bitmap = reader.raw(bitmapBytes)
  const ranks = new Uint16Array(bitmapBytes + 1)
  for (let at = 0; at < bitmapBytes; at += 1) ranks[at + 1] = (ranks[at] ?? 0) + bitsOf(bitmap[at] ?? 0)
  const pages = ranks[bitmapBytes] ?? 0
  if (reader.remaining !== pages * pageHashBytes) reader.fail('the hashes are not as many as the pages')
  return {
    hashOf: (page) => {
      const byte = bitmap[page >>> 3] ?? 0
      if ((byte & (1 << (page & 7))) === 0) return null
      const rank = (ranks[page >>> 3] ?? 0) + bitsOf(byte & ((1 << (page & 7)) - 1))
      const at = bitmapBytes + rank * pageHashBytes
      return bytes.subarray(at, at + pageHashBytes)
    },
  }
}

const bitsOf = (byte: number): number => {
  let bits = 0
  for (let rest = byte; rest > 0; rest &= rest - 1) bits += 1
  return bits
}

const provenDigest = (bytes: Uint8Array, stored: Uint8Array, origin: Origin): string => {
  const expected = hexOf(stored)
  const actual = hexOf(digestBytes(bytes))
  if (actual !== expected) throw new VaultError({ code: 'digest-mismatch', ...origin, expected, actual })
  return actual
}
