import { createHash, hash } from 'node:crypto'

/** SHA-256 of the bytes, lower-case hex. */
export const digestHex = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')

/** SHA-256 of the bytes as 32 bytes. */
export const digestBytes = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer')

/** Writes as many bytes of the SHA-256 as the target is long. For many small pieces: what a digest in a buffer of its own leaves to the
 * collector is as long as some of them. */
export const writeDigest = (target: Buffer, bytes: Uint8Array): void => {
  target.write(hash('sha256', bytes, 'binary'), 0, target.length, 'binary')
}

/** SHA-256 of the parts, one after another, as 32 bytes. */
export const digestOfParts = (...parts: readonly Uint8Array[]): Buffer => {
  const digest = createHash('sha256')
  for (const part of parts) digest.update(part)
  return digest.digest()
}

/** The hex form of a stored digest. */
export const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
