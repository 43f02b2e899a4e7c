/** Frame magic of zstd (RFC 8878, 3.1.1), little-endian. */
const magic = 0xfd2fb528
const headBytesMin = 6
const checksumBit = 4
const dictionaryBits = 3
const checksumBytes = 4

/** Whether the bytes are one whole zstd frame from the first to the last, with a checksum of its content and without a dictionary, as
 * docs/format.md wants it; by its structure alone: RFC 8878, 3.1.1. A decoder that is fed a cut one waits for more and says nothing. */
export const isWholeZstdFrame = (bytes: Uint8Array): boolean => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < headBytesMin || view.getUint32(0, true) !== magic) return false
  const descriptor = view.getUint8(4)
  if ((descriptor & checksumBit) === 0 || (descriptor & dictionaryBits) !== 0) return false
  let at = 5 + fieldBytesOf(descriptor)
  let isLast = false
  while (!isLast) {
    if (at + 3 > bytes.length) return false
    const block = view.getUint16(at, true) + view.getUint8(at + 2) * 65_536
    isLast = (block & 1) === 1
    // A run of one byte repeated stores that byte alone.
    at += 3 + (((block >>> 1) & 3) === 1 ? 1 : block >>> 3)
  }
  return at + checksumBytes === bytes.length
}

/** Window and content size, each present or not as the descriptor says. */
const fieldBytesOf = (descriptor: number): number => {
  const isSingle = (descriptor & 0x20) !== 0
  const windowBytes = isSingle ? 0 : 1
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0
  return windowBytes + sizeBytes
}
