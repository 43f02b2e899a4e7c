import type { Origin } from './byte-reader.ts'
import { VaultError } from './vault-error.ts'
import { zstdContext } from './zstd-context.ts'
import { isWholeZstdFrame } from './zstd-frame.ts'

/** How a payload lies in its frame: as one zstd frame, or as it is. */
export type Compression = 'raw' | 'zstd'

/** Memory that compressing so many bytes may need: zstd's own bound on its output is the input, 1/256 of it and 64 bytes
 * (ZSTD_COMPRESSBOUND). */
export const compressedBytesMax = (plainBytes: number): number => plainBytes + (plainBytes >>> 8) + 128

/** Compresses one frame. Returns the input itself, `raw`, where zstd does not make it smaller.
 * @param target gets the output; at least `compressedBytesMax` of the input long
 * @returns a view of the target or the input */
export const compress = (
  plain: Uint8Array,
  target: Uint8Array,
): { readonly compression: Compression; readonly payload: Uint8Array } => {
  const payloadBytes = zstdContext().compressInto(plain, target)
  return payloadBytes === null || payloadBytes >= plain.length
    ? { compression: 'raw', payload: plain }
    : { compression: 'zstd', payload: target.subarray(0, payloadBytes) }
}

/** Exactly `plainBytes` bytes or a fault; never expands further.
 * @param target gets what is expanded; longer than that, as only a byte more than there may be shows that there is no more */
export const decompress = (
  payload: Uint8Array,
  compression: Compression,
  plainBytes: number,
  origin: Origin,
  target: Buffer = Buffer.allocUnsafeSlow(compression === 'zstd' ? plainBytes + 1 : 0),
): Uint8Array => {
  if (compression === 'zstd') return expand(payload, target.subarray(0, plainBytes + 1), origin)
  if (payload.length === plainBytes) return payload
  const detail = `${payload.length} plain bytes instead of ${plainBytes}`
  throw new VaultError({ code: 'malformed', ...origin, detail })
}

const expand = (payload: Uint8Array, target: Buffer, origin: Origin): Uint8Array => {
  const plainBytes = target.length - 1
  const isWhole = isWholeZstdFrame(payload)
  if (isWhole && zstdContext().expandInto(payload, target) === plainBytes) return target.subarray(0, plainBytes)
  throw new VaultError({ code: 'malformed', ...origin, detail: 'the payload is not a zstd frame of its length' })
}
