import { constants, zstdCompress, zstdDecompressSync } from 'node:zlib'
import type { Origin } from './byte-reader.ts'
import { VaultError } from './vault-error.ts'

export type Compression = 'raw' | 'zstd'

/** Level 3 saves a tenth of the bytes and takes twice the time. */
const compressionLevel = 1
/** zstd's own bound on its output is the input, 1/256 of it and 64 bytes (ZSTD_COMPRESSBOUND); one chunk then takes it all. */
const boundOf = (plainBytes: number): number => plainBytes + (plainBytes >>> 8) + 128

/** Compresses one frame in libuv's pool. Returns the input itself, `raw`, where zstd does not make it smaller.
 * @param plain must not change until the promise settles */
export const compress = (plain: Uint8Array): Promise<{ compression: Compression; payload: Uint8Array }> =>
  new Promise((resolve, reject) => {
    zstdCompress(plain, optionsFor(plain.length), (error, payload) => {
      if (error) reject(error)
      else if (payload.length < plain.length) resolve({ compression: 'zstd', payload })
      else resolve({ compression: 'raw', payload: plain })
    })
  })

/** Exactly `plainBytes` bytes or a fault; never expands further. */
export const decompress = (
  payload: Uint8Array,
  compression: Compression,
  plainBytes: number,
  origin: Origin,
): Uint8Array => {
  const plain = compression === 'raw' ? payload : expand(payload, plainBytes, origin)
  if (plain.length !== plainBytes)
    throw new VaultError({
      code: 'malformed',
      ...origin,
      detail: `${plain.length} plain bytes instead of ${plainBytes}`,
    })
  return plain
}

const optionsFor = (plainBytes: number) => ({
  chunkSize: Math.max(1024, boundOf(plainBytes)),
  params: { [constants.ZSTD_c_compressionLevel]: compressionLevel },
})

const expand = (payload: Uint8Array, plainBytes: number, origin: Origin): Uint8Array => {
  try {
    return zstdDecompressSync(payload, { chunkSize: Math.max(1024, plainBytes), maxOutputLength: plainBytes })
  } catch (cause) {
    throw new VaultError(
      { code: 'malformed', ...origin, detail: 'the payload is not a zstd frame of its length' },
      { cause },
    )
  }
}
