import { crc32 } from 'node:zlib'
import { type ByteReader, createByteReader, type Origin } from './byte-reader.ts'
import { createByteWriter } from './byte-writer.ts'
import { digestBytes, hexOf } from './digest.ts'
import type { SliceKey } from './names.ts'
import { formatVersion, frameCapacityBytesMax, sectorBytes } from './sectors.ts'
import { VaultError } from './vault-error.ts'
import { type Compression, decompress } from './zstd.ts'

/** What a frame was made as. It never changes, wherever the frame's bytes lie. */
export interface Birth extends SliceKey {
  readonly attempt: number
  readonly ordinal: number
}

/** Where a frame lies and what it must be: one frame entry of a shard, its tables resolved. */
export interface FramePlace {
  readonly segment: string
  readonly placeBytes: number
  readonly storedBytes: number
  readonly plainBytes: number
  readonly digest: Uint8Array
  readonly birth: Birth
}

/** Begins every frame, so that a scanner which lost its place finds the next one. */
const frameMagic = Uint8Array.of(0x89, 0x44, 0x56, 0x46, 0x52, 0x4d, 0x0d, 0x0a)

const fixedBytes = 116
const cipherBytes = 44

/** The header that goes before the payload (docs/format.md, section 3).
 * @param digest SHA-256 of the plain bytes */
export const encodeFrameHeader = (frame: {
  readonly birth: Birth
  readonly compression: Compression
  readonly payload: Uint8Array
  readonly plainBytes: number
  readonly digest: Uint8Array
}): Buffer => {
  const { birth } = frame
  const writer = createByteWriter(256)
  writer.raw(frameMagic)
  writer.u8(formatVersion)
  writer.u8(frame.compression === 'zstd' ? 1 : 0)
  writer.zeros(2)
  writer.u16(fixedBytes + 2 + birth.recoveryPointId.length + 2 + birth.disk.length + 4)
  writer.zeros(2)
  writer.u32(frame.payload.length)
  writer.u32(frame.plainBytes)
  writer.u32(birth.slice)
  writer.u32(birth.attempt)
  writer.u32(birth.ordinal)
  writer.raw(frame.digest)
  writer.zeros(cipherBytes)
  writer.u32(crc32(frame.payload))
  writer.text(birth.recoveryPointId)
  writer.text(birth.disk)
  writer.u32(crc32(writer.view()))
  return writer.finish()
}

/** The plain bytes of one frame, proven: lengths, birth and digest are those of the index.
 * @param stored header and payload, exactly
 * @throws VaultError naming the segment and the frame's place in it */
export const openFrame = (stored: Uint8Array, place: FramePlace): Uint8Array => {
  const origin = { name: place.segment, place: place.placeBytes }
  const header = decodeFrameHeader(stored, origin)
  const expected = describeBirth(place.birth)
  const actual = describeBirth(header.birth)
  if (expected !== actual) throw new VaultError({ code: 'wrong-birth', ...origin, expected, actual })
  if (header.headerBytes + header.payloadBytes !== place.storedBytes || header.plainBytes !== place.plainBytes)
    throw new VaultError({ code: 'malformed', ...origin, detail: 'the lengths differ from those of the index' })
  const payload = stored.subarray(header.headerBytes, place.storedBytes)
  if (crc32(payload) !== header.payloadCrc)
    throw new VaultError({ code: 'malformed', ...origin, detail: 'the CRC of the payload is wrong' })
  const plain = decompress(payload, header.compression, header.plainBytes, origin)
  const digest = digestBytes(plain)
  if (!digest.equals(place.digest) || !digest.equals(header.digest))
    throw new VaultError({ code: 'digest-mismatch', ...origin, expected: hexOf(place.digest), actual: hexOf(digest) })
  return plain
}

export interface FrameHeader {
  readonly headerBytes: number
  readonly payloadBytes: number
  readonly payloadCrc: number
  readonly plainBytes: number
  readonly compression: Compression
  readonly digest: Buffer
  readonly birth: Birth
}

/** Parses a header and checks its own CRC; the payload is not looked at. */
export const decodeFrameHeader = (bytes: Uint8Array, origin: Origin): FrameHeader => {
  const reader = createByteReader(bytes, origin)
  reader.magic(frameMagic)
  reader.version()
  const compression = reader.u8()
  const encryption = reader.u8()
  reader.zeros(1)
  const headerBytes = reader.u16()
  checkCrc(reader, bytes, headerBytes)
  if (compression > 1) reader.fail(`compression ${compression} is not known`)
  if (encryption !== 0) reader.fail(`encryption ${encryption} is not known`)
  reader.zeros(2)
  const payloadBytes = reader.u32()
  const plainBytes = reader.u32()
  if (plainBytes === 0 || plainBytes > frameCapacityBytesMax || plainBytes % sectorBytes !== 0)
    reader.fail(`a frame of ${plainBytes} plain bytes is not allowed`)
  const numbers = { slice: reader.u32(), attempt: reader.u32(), ordinal: reader.u32() }
  const digest = reader.raw(32)
  reader.zeros(cipherBytes)
  const payloadCrc = reader.u32()
  const birth = { recoveryPointId: reader.text(), disk: reader.text(), ...numbers }
  if (reader.at + 4 !== headerBytes) reader.fail('the header length is wrong')
  return {
    headerBytes,
    payloadBytes,
    payloadCrc,
    plainBytes,
    compression: compression === 1 ? 'zstd' : 'raw',
    digest,
    birth,
  }
}

const checkCrc = (reader: ByteReader, bytes: Uint8Array, headerBytes: number): void => {
  if (headerBytes < fixedBytes + 8 || headerBytes > bytes.length) reader.fail('the header length is wrong')
  const at = headerBytes - 4
  const stored = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true)
  if (crc32(bytes.subarray(0, at)) !== stored) reader.fail('the CRC of the frame header is wrong')
}

const describeBirth = (birth: Birth): string =>
  `${birth.recoveryPointId}/${birth.disk} slice ${birth.slice} attempt ${birth.attempt} frame ${birth.ordinal}`
