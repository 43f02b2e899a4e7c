import { crc32 } from 'node:zlib'
import { type ByteReader, createByteReader, type Origin } from './byte-reader.ts'
import { createByteWriter } from './byte-writer.ts'
import type { DataKey, KeyRing } from './data-key.ts'
import { digestOfParts, hexOf } from './digest.ts'
import { type AttemptKey, type FrameCipher, keyIdBytes, nonceBytes, openPayload, tagBytes } from './frame-cipher.ts'
import type { DiskKey } from './names.ts'
import { formatVersion, frameCapacityBytesMax, sectorBytes } from './sectors.ts'
import { VaultError } from './vault-error.ts'
import { type Compression, decompress } from './zstd.ts'

/** What a frame was made as. It never changes, wherever the frame's bytes lie. */
export interface Birth extends AttemptKey {
  readonly ordinal: number
}

/** How the payloads of new frames are made: compressed where that makes them smaller, then encrypted where there is a key. */
export interface FrameEncoding {
  readonly compression: 'zstd' | 'none'
  readonly key: DataKey | null
}

/** Where a frame lies and what it must be: one frame entry of a shard, its tables resolved. */
export interface FramePlace {
  readonly segment: string
  readonly placeBytes: number
  /** Header and payload. */
  readonly storedBytes: number
  readonly plainBytes: number
  /** SHA-256 of header and payload as stored; of the header what stands before its digest. */
  readonly digest: Uint8Array
  readonly birth: Birth
}

/** A frame as it goes into a segment: the header, then the payload. */
export interface EncodedFrame {
  readonly header: Buffer
  /** The given one itself where nothing is encrypted. */
  readonly payload: Uint8Array
  /** See FramePlace. */
  readonly digest: Buffer
}

/** Begins every frame, so that a scanner which lost its place finds the next one. */
const frameMagic = Uint8Array.of(0x89, 0x44, 0x56, 0x46, 0x52, 0x4d, 0x0d, 0x0a)

const fixedBytes = 64
const digestLength = 32
/** Digest and CRC end the header; everything before them is digested together with the payload. */
const checkBytes = digestLength + 4
/** Tag, digest and CRC stand behind the texts. */
const proofBytes = tagBytes + checkBytes

/** Of a header whose texts have one character each, and 100. */
export const frameHeaderBytesMin = fixedBytes + 2 * (2 + 1) + proofBytes
/** Of a header whose texts have 100 characters each, as long as ids get. */
export const frameHeaderBytesMax = fixedBytes + 2 * (2 + 100) + proofBytes

/** Length of the header of every frame that was born in this disk's transfer. */
export const frameHeaderBytesOf = (birth: DiskKey): number =>
  fixedBytes + 2 + birth.recoveryPointId.length + 2 + birth.disk.length + proofBytes

/** Used for one header after another; the header is copied out of it. */
const writer = createByteWriter(384)

/** Encrypts the payload where there is a cipher and makes the header that goes before it (docs/format.md, section 3).
 * @param cipher of the birth's attempt
 * @param frame its `payload` is compressed or the plain bytes, as `compression` says */
export const encodeFrame = (
  frame: {
    readonly birth: Birth
    readonly compression: Compression
    readonly payload: Uint8Array
    readonly plainBytes: number
  },
  cipher: FrameCipher | null,
): EncodedFrame => {
  const { birth } = frame
  writer.clear()
  writer.raw(frameMagic)
  writer.u8(formatVersion)
  writer.u8(frame.compression === 'zstd' ? 1 : 0)
  writer.u8(cipher === null ? 0 : 1)
  writer.zeros(1)
  writer.u16(frameHeaderBytesOf(birth))
  writer.zeros(2)
  for (const value of [frame.payload.length, frame.plainBytes]) writer.u32(value)
  for (const value of [birth.slice, birth.attempt, birth.ordinal]) writer.u32(value)
  writer.raw(cipher === null ? Buffer.alloc(keyIdBytes) : Buffer.from(cipher.keyId, 'hex'))
  writer.raw(cipher === null ? Buffer.alloc(nonceBytes) : cipher.nonceOf(birth.ordinal))
  writer.text(birth.recoveryPointId)
  writer.text(birth.disk)
  const sealed = cipher?.sealPayload(frame.payload, birth.ordinal, writer.view())
  const payload = sealed?.payload ?? frame.payload
  writer.raw(sealed?.tag ?? Buffer.alloc(tagBytes))
  const digest = digestOfParts(writer.view(), payload)
  writer.raw(digest)
  writer.u32(crc32(writer.view()))
  return { header: writer.finish(), payload, digest }
}

/** The plain bytes of one frame, proven: lengths, birth and digest are those of the index.
 * @param stored header and payload, exactly
 * @param keys asked only where the frame is encrypted
 * @param target may get the plain bytes, which else lie in new memory or in what is stored; longer than they are
 * @throws VaultError naming the segment and the frame's place in it. Damage is told without a key; `wrong-key` means that the stored bytes
 * are right */
export const openFrame = (stored: Uint8Array, place: FramePlace, keys: KeyRing, target?: Buffer): Uint8Array => {
  const origin = { name: place.segment, place: place.placeBytes }
  const { header, payload } = proveFrame(stored, place)
  const compressed =
    header.sealed === null ? payload : unseal(stored, payload, { ...header, ...header.sealed }, keys, origin)
  return decompress(compressed, header.compression, header.plainBytes, origin, target)
}

/** Proves that the stored bytes of one frame are those that were written; needs no key.
 * @param stored header and payload, exactly
 * @throws VaultError naming the segment and the frame's place in it */
export const proveFrame = (
  stored: Uint8Array,
  place: FramePlace,
): { readonly header: FrameHeader; readonly payload: Uint8Array } => {
  const origin = { name: place.segment, place: place.placeBytes }
  const header = decodeFrameHeader(stored, origin)
  const expected = describeBirth(place.birth)
  const actual = describeBirth(header.birth)
  if (expected !== actual) throw new VaultError({ code: 'wrong-birth', ...origin, expected, actual })
  if (header.headerBytes + header.payloadBytes !== place.storedBytes || header.plainBytes !== place.plainBytes)
    throw new VaultError({ code: 'malformed', ...origin, detail: 'the lengths differ from those of the index' })
  const payload = stored.subarray(header.headerBytes, place.storedBytes)
  const digest = digestOfParts(stored.subarray(0, header.headerBytes - checkBytes), payload)
  if (!digest.equals(place.digest) || !digest.equals(header.digest))
    throw new VaultError({ code: 'digest-mismatch', ...origin, expected: hexOf(place.digest), actual: hexOf(digest) })
  return { header, payload }
}

/** A frame's header, proven by its CRC alone: the digest proves it together with the payload. */
export interface FrameHeader {
  readonly headerBytes: number
  readonly payloadBytes: number
  readonly plainBytes: number
  readonly compression: Compression
  /** Null where the payload is not encrypted. */
  readonly sealed: SealedFields | null
  /** See FramePlace. */
  readonly digest: Buffer
  readonly birth: Birth
}

interface SealedFields {
  readonly keyId: string
  readonly nonce: Buffer
  readonly tag: Buffer
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
  if (encryption > 1) reader.fail(`encryption ${encryption} is not known`)
  reader.zeros(2)
  const payloadBytes = reader.u32()
  const plainBytes = reader.u32()
  if (plainBytes === 0 || plainBytes > frameCapacityBytesMax || plainBytes % sectorBytes !== 0)
    reader.fail(`a frame of ${plainBytes} plain bytes is not allowed`)
  const numbers = { slice: reader.u32(), attempt: reader.u32(), ordinal: reader.u32() }
  const isSealed = encryption === 1
  const keyId = cipherField(reader, keyIdBytes, isSealed)
  const nonce = cipherField(reader, nonceBytes, isSealed)
  const birth = { recoveryPointId: reader.text(), disk: reader.text(), ...numbers }
  const tag = cipherField(reader, tagBytes, isSealed)
  const digest = reader.raw(digestLength)
  if (reader.at + 4 !== headerBytes) reader.fail('the header length is wrong')
  const isLengthFine = compression === 1 ? payloadBytes > 0 && payloadBytes < plainBytes : payloadBytes === plainBytes
  if (!isLengthFine) reader.fail('the payload is not as long as its compression allows')
  if (isSealed && keyId.every((byte) => byte === 0)) reader.fail('an encrypted frame names no key')
  const sealed = isSealed ? { keyId: hexOf(keyId), nonce, tag } : null
  const form = compression === 1 ? ('zstd' as const) : ('raw' as const)
  return { headerBytes, payloadBytes, plainBytes, compression: form, sealed, digest, birth }
}

/** Zero without encryption. */
const cipherField = (reader: ByteReader, count: number, isSealed: boolean): Buffer => {
  const bytes = reader.raw(count)
  if (!isSealed && bytes.some((byte) => byte !== 0)) reader.fail('bytes that must be zero are not')
  return bytes
}

const checkCrc = (reader: ByteReader, bytes: Uint8Array, headerBytes: number): void => {
  if (headerBytes < fixedBytes + 4 + proofBytes || headerBytes > bytes.length) reader.fail('the header length is wrong')
  const at = headerBytes - 4
  const stored = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true)
  if (crc32(bytes.subarray(0, at)) !== stored) reader.fail('the CRC of the frame header is wrong')
}

const unseal = (
  stored: Uint8Array,
  payload: Uint8Array,
  { headerBytes, keyId, nonce, tag, birth }: FrameHeader & SealedFields,
  keys: KeyRing,
  origin: Origin,
): Uint8Array => {
  const header = stored.subarray(0, headerBytes - proofBytes)
  const opened = openPayload({ payload, nonce, tag, header }, keys.find(keyId), birth)
  if (opened === null) throw new VaultError({ code: 'wrong-key', ...origin, keyId })
  return opened
}

const describeBirth = (birth: Birth): string =>
  `${birth.recoveryPointId}/${birth.disk} slice ${birth.slice} attempt ${birth.attempt} frame ${birth.ordinal}`
