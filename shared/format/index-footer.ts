import { type ByteReader, createByteReader, type Origin } from './byte-reader.ts'
import { createByteWriter } from './byte-writer.ts'
import { digestBytes, hexOf } from './digest.ts'
import type { DiskKey } from './names.ts'
import { footerBytesMax, formatVersion, frameCapacityBytesMax, sectorBytes, shardBytesMax } from './sectors.ts'
import { readSegmentRanges, type SegmentRange, writeSegmentRanges } from './segment-ranges.ts'
import { VaultError } from './vault-error.ts'

/** What a slice or a whole disk came to. Bytes are of the raw disk unless said otherwise. */
export interface IndexTotals {
  /** As the platform named them, data and cleared. */
  readonly changedBytes: number
  /** Received from the source: data ranges, joined holes, and what was read again after a fault. */
  readonly readBytes: number
  /** Holes that were read through, as that is cheaper than another request. */
  readonly joinedBytes: number
  readonly readCalls: number
  /** In data runs: stored, before compression. */
  readonly dataBytes: number
  readonly zeroBytes: number
  /** Length of the segments, whole objects. */
  readonly segmentBytes: number
  readonly milliseconds: number
  readonly frames: number
  readonly runs: number
}

/** First and end offset, place and digest of one shard. */
export interface FenceKey {
  readonly firstBytes: number
  readonly endBytes: number
  readonly placeBytes: number
  readonly lengthBytes: number
  readonly frames: number
  readonly digest: Uint8Array
}

/** All of a footer but its fence keys (docs/format.md, section 6). */
export interface IndexHead extends DiskKey, IndexTotals {
  readonly kind: 'slice' | 'layer'
  /** Number of the slice; in a layer, how many slices it was made of. */
  readonly slice: number
  /** 0 in a layer. */
  readonly attempt: number
  readonly frameCapacityBytes: number
  readonly diskBytes: number
  /** The segments whose frames this index needs, and those of its attempts that hold zero runs alone; sorted, joined. */
  readonly segmentRanges: readonly SegmentRange[]
}

/** The footer of a slice index or layer, proven. Fence keys are decoded as they are asked for: a full 32 TiB disk has 131,072. */
export interface IndexFooter extends IndexHead {
  /** SHA-256 of the footer before its tail, hex: a layer's digest. */
  readonly digest: string
  readonly footerBytes: number
  readonly shards: number
  fence(index: number): FenceKey
}

const indexMagic = Buffer.from('DVINDEX\0', 'latin1')
const endMagic = Buffer.from('DVINDEND', 'latin1')
const fenceBytes = 64
/** Digest, length of the footer, magic: what a reader looks at first. */
export const footerTailBytes = 44

/** @param fences in order of offset */
export const encodeIndexFooter = (head: IndexHead, fences: readonly FenceKey[]): Buffer => {
  const writer = createByteWriter(256 + fences.length * fenceBytes)
  writer.raw(indexMagic)
  writer.u8(formatVersion)
  writer.u8(head.kind === 'slice' ? 1 : 2)
  writer.zeros(2)
  for (const value of [head.slice, head.attempt, fences.length, head.frameCapacityBytes]) writer.u32(value)
  writer.u32(head.segmentRanges.length)
  for (const value of [head.diskBytes, head.changedBytes, head.readBytes, head.joinedBytes]) writer.u64(value)
  for (const value of [head.dataBytes, head.zeroBytes]) writer.u64(value)
  for (const value of [head.segmentBytes, head.milliseconds, head.frames, head.runs, head.readCalls]) writer.u64(value)
  writer.text(head.recoveryPointId)
  writer.text(head.disk)
  writeSegmentRanges(writer, head.segmentRanges)
  for (const fence of fences) {
    for (const bytes of [fence.firstBytes, fence.endBytes]) writer.u64(bytes / sectorBytes)
    writer.u64(fence.placeBytes)
    writer.u32(fence.lengthBytes)
    writer.u32(fence.frames)
    writer.raw(fence.digest)
  }
  const digest = digestBytes(writer.view())
  writer.raw(digest)
  writer.u32(writer.lengthBytes + 12)
  writer.raw(endMagic)
  return writer.finish()
}

/** Whether a record may name a footer of this length in an object of that length. */
export const isFooterLength = (footerBytes: number, objectBytes: number): boolean =>
  footerBytes >= footerTailBytes && footerBytes <= Math.min(objectBytes, footerBytesMax)

/** Length of the footer, from the last `footerTailBytes` bytes of the object. */
export const footerLengthOf = (tail: Uint8Array, origin: Origin): number => {
  const reader = createByteReader(tail, origin, tail.length - 12)
  const length = reader.u32()
  reader.magic(endMagic)
  return length
}

/** The digest that a footer names for itself, from the last `footerTailBytes` bytes of the object; not proven. */
export const footerDigestOf = (tail: Uint8Array, origin: Origin): string => {
  footerLengthOf(tail, origin)
  return hexOf(tail.subarray(tail.length - footerTailBytes, tail.length - 12))
}

/** @param bytes the footer, exactly
 * @param objectBytes length of the whole object: the shards must fill what is before the footer, without holes
 * @throws VaultError */
export const openIndexFooter = (bytes: Uint8Array, origin: Origin, objectBytes: number): IndexFooter => {
  const reader = createByteReader(bytes, origin)
  if (bytes.length < footerTailBytes || footerLengthOf(bytes, origin) !== bytes.length)
    reader.fail('the footer length is wrong')
  const digest = checkedDigest(bytes, origin)
  const { shards, ...head } = readHead(reader)
  const fencesAt = reader.at
  if (fencesAt + shards * fenceBytes + footerTailBytes !== bytes.length) reader.fail('the fence keys do not fit')
  const table = Buffer.from(bytes.buffer, bytes.byteOffset + fencesAt, shards * fenceBytes)
  const fence = (index: number): FenceKey => fenceAt(table, index * fenceBytes)
  const footer = { ...head, digest, footerBytes: bytes.length, shards, fence }
  checkFences(footer, reader, objectBytes)
  return footer
}

/** Reads without the checks of a ByteReader: the table's length is proven and a full 32 TiB disk has 131,072 entries. */
const fenceAt = (table: Buffer, at: number): FenceKey => ({
  firstBytes: u64At(table, at) * sectorBytes,
  endBytes: u64At(table, at + 8) * sectorBytes,
  placeBytes: u64At(table, at + 16),
  lengthBytes: table.readUInt32LE(at + 24),
  frames: table.readUInt32LE(at + 28),
  digest: table.subarray(at + 32, at + fenceBytes),
})

const u64At = (table: Buffer, at: number): number => table.readUInt32LE(at) + table.readUInt32LE(at + 4) * 2 ** 32

const checkedDigest = (bytes: Uint8Array, origin: Origin): string => {
  const bodyBytes = bytes.length - footerTailBytes
  const expected = hexOf(bytes.subarray(bodyBytes, bodyBytes + 32))
  const actual = hexOf(digestBytes(bytes.subarray(0, bodyBytes)))
  if (actual !== expected) throw new VaultError({ code: 'digest-mismatch', ...origin, expected, actual })
  return actual
}

const readHead = (reader: ByteReader): IndexHead & { shards: number } => {
  reader.magic(indexMagic)
  reader.version()
  const kind = reader.u8()
  if (kind !== 1 && kind !== 2) reader.fail(`an index of kind ${kind} is not known`)
  reader.zeros(2)
  const numbers = { slice: reader.u32(), attempt: reader.u32(), shards: reader.u32(), frameCapacityBytes: reader.u32() }
  if (numbers.frameCapacityBytes < sectorBytes || numbers.frameCapacityBytes > frameCapacityBytesMax)
    reader.fail('the frame capacity is none that may be')
  const ranges = reader.u32()
  const sizes = {
    diskBytes: reader.u64(),
    changedBytes: reader.u64(),
    readBytes: reader.u64(),
    joinedBytes: reader.u64(),
  }
  const kinds = { dataBytes: reader.u64(), zeroBytes: reader.u64() }
  const rest = { segmentBytes: reader.u64(), milliseconds: reader.u64(), frames: reader.u64() }
  const counts = { runs: reader.u64(), readCalls: reader.u64() }
  const key = { recoveryPointId: reader.text(), disk: reader.text() }
  const segmentRanges = readSegmentRanges(reader, ranges)
  const form = kind === 1 ? ('slice' as const) : ('layer' as const)
  if (form === 'layer' && numbers.attempt !== 0) reader.fail('a layer names an attempt')
  return { kind: form, ...numbers, ...sizes, ...kinds, ...rest, ...counts, ...key, segmentRanges }
}

/** The digest proves the bytes are those written; this proves that the writer kept the rules. */
const checkFences = (footer: IndexFooter, reader: ByteReader, objectBytes: number): void => {
  let place = 0
  let end = 0
  let frames = 0
  for (let index = 0; index < footer.shards; index += 1) {
    const fence = footer.fence(index)
    if (fence.placeBytes !== place) reader.fail('the shards do not follow each other')
    if (fence.lengthBytes > shardBytesMax) reader.fail('a shard is longer than one may be')
    if (fence.firstBytes < end || fence.endBytes <= fence.firstBytes) reader.fail('the fence keys are not sorted')
    if (!Number.isSafeInteger(fence.endBytes)) reader.fail('a number exceeds 2^53')
    place += fence.lengthBytes
    end = fence.endBytes
    frames += fence.frames
  }
  if (frames !== footer.frames) reader.fail('the shards do not have the frames that are counted')
  if (end > footer.diskBytes) reader.fail('the runs end behind the disk')
  if (place + footer.footerBytes !== objectBytes) reader.fail('the object has another length than its parts')
}
