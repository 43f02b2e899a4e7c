import { crc32 } from 'node:zlib'
import { createByteReader, type Origin } from './byte-reader.ts'
import { createByteWriter } from './byte-writer.ts'
import { digestBytes, hexOf } from './digest.ts'
import { formatVersion } from './sectors.ts'
import { VaultError } from './vault-error.ts'

/** The end of a segment: where its directory is, which is a shard about exactly this segment's runs. */
export interface SegmentTrailer {
  readonly isLast: boolean
  readonly frames: number
  readonly directoryPlaceBytes: number
  readonly directoryBytes: number
  readonly n: number
  readonly directoryDigest: Uint8Array
}

/** Length of what ends each segment (docs/format.md, section 4). */
export const segmentTrailerBytes = 68
const trailerMagic = Buffer.from('DVSEGEND', 'latin1')

/** @param directory the encoded shard that goes right before the trailer */
export const encodeSegmentTrailer = (
  directory: Uint8Array,
  segment: { readonly isLast: boolean; readonly frames: number; readonly framesBytes: number; readonly n: number },
): Buffer => {
  const writer = createByteWriter(segmentTrailerBytes)
  writer.raw(trailerMagic)
  writer.u8(formatVersion)
  writer.u8(segment.isLast ? 1 : 0)
  writer.zeros(2)
  for (const value of [segment.frames, segment.framesBytes, directory.length, segment.n]) writer.u32(value)
  writer.zeros(4)
  writer.raw(digestBytes(directory))
  writer.u32(crc32(writer.view()))
  return writer.finish()
}

/** @param bytes the last `segmentTrailerBytes` bytes of the segment */
export const decodeSegmentTrailer = (bytes: Uint8Array, origin: Origin): SegmentTrailer => {
  const reader = createByteReader(bytes, origin)
  reader.magic(trailerMagic)
  reader.version()
  const last = reader.u8()
  if (last > 1) reader.fail('the mark of the last segment is neither 0 nor 1')
  reader.zeros(2)
  const numbers = {
    frames: reader.u32(),
    directoryPlaceBytes: reader.u32(),
    directoryBytes: reader.u32(),
    n: reader.u32(),
  }
  reader.zeros(4)
  const directoryDigest = reader.raw(32)
  const crc = crc32(bytes.subarray(0, reader.at))
  if (reader.u32() !== crc) reader.fail('the CRC of the segment trailer is wrong')
  return { isLast: last === 1, ...numbers, directoryDigest }
}

/** The directory's bytes out of a whole segment, proven by the trailer. */
export const directoryOf = (segment: Uint8Array, name: string): { trailer: SegmentTrailer; directory: Uint8Array } => {
  const place = segment.length - segmentTrailerBytes
  if (place < 0) throw new VaultError({ code: 'short', name, place: segmentTrailerBytes })
  const trailer = decodeSegmentTrailer(segment.subarray(place), { name, place })
  const end = trailer.directoryPlaceBytes + trailer.directoryBytes
  if (end !== place)
    throw new VaultError({ code: 'malformed', name, place, detail: 'the directory does not end at the trailer' })
  const directory = segment.subarray(trailer.directoryPlaceBytes, end)
  const actual = hexOf(digestBytes(directory))
  const expected = hexOf(trailer.directoryDigest)
  if (actual !== expected)
    throw new VaultError({ code: 'digest-mismatch', name, place: trailer.directoryPlaceBytes, expected, actual })
  return { trailer, directory }
}
