/**
 * Reused zstd contexts, by a call of Node's zlib that is not public: the object behind a zlib stream has a `writeSync` that takes input and
 * output memory. The public calls make a new context for each frame and an output buffer of their own, which costs a tenth of the time to
 * compress, half of the time to expand, and tens of MiB. Whether the call does what is expected is tried out at the first use; where it does
 * not, the public calls do the work. Contexts belong to one thread, as this module does, and each call is done when it returns.
 */
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** Both return the number of bytes written, or null where it does not come out: input that is not whole, or a target too small. */
export interface ZstdContext {
  /** @param target not smaller than zstd's bound for the input */
  compressInto(plain: Uint8Array, target: Uint8Array): number | null
  /** @param payload must be one whole zstd frame, its end included: what is missing of one would be taken from the next
   * @param target larger than what is expected, else it cannot be told whether that was all */
  expandInto(payload: Uint8Array, target: Uint8Array): number | null
}

/** Level 3 saves a tenth of the bytes and takes twice the time. */
const compressionLevel = 1
const compressionParams = {
  [constants.ZSTD_c_compressionLevel]: compressionLevel,
  [constants.ZSTD_c_checksumFlag]: 1,
}

/** The part of Node's zlib streams that is used here and not documented. */
interface PrivateStream {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputBytes: number,
      output: Uint8Array,
      outputAt: number,
      outputBytes: number,
    ): void
    onerror: (message: string, number: number, code: string) => void
    close(): void
  }
  /** Output memory left and input left, after a call. */
  readonly _writeState: Uint32Array
}

/** Runs one input through a stream's own context, from its beginning to its end. */
const createRunner = (open: () => object) => {
  let stream: PrivateStream | null = null
  let hasFailed = false
  const opened = (): PrivateStream => {
    const made = open() as PrivateStream
    made._handle.onerror = () => {
      hasFailed = true
    }
    return made
  }
  return (input: Uint8Array, target: Uint8Array): number | null => {
    stream ??= opened()
    hasFailed = false
    stream._handle.writeSync(constants.ZSTD_e_end, input, 0, input.length, target, 0, target.length)
    const [targetLeft = 0, inputLeft = 0] = stream._writeState
    if (!hasFailed && inputLeft === 0 && targetLeft > 0) return target.length - targetLeft
    // Somewhere inside a frame: the next input must not meet what is left of this one.
    stream._handle.close()
    stream = null
    return null
  }
}

const createPrivateContext = (): ZstdContext => {
  const compress = createRunner(() => createZstdCompress({ params: compressionParams }))
  const expand = createRunner(() => createZstdDecompress())
  return { compressInto: compress, expandInto: expand }
}

/** The same by public calls only. */
export const publicZstdContext: ZstdContext = {
  compressInto: (plain, target) => {
    const payload = zstdCompressSync(plain, { chunkSize: Math.max(1024, target.length), params: compressionParams })
    return copied(payload, target)
  },
  expandInto: (payload, target) => {
    try {
      const limits = { chunkSize: Math.max(1024, target.length), maxOutputLength: target.length }
      return copied(zstdDecompressSync(payload, limits), target)
    } catch {
      return null
    }
  },
}

const copied = (bytes: Uint8Array, target: Uint8Array): number | null => {
  if (bytes.length >= target.length) return null
  target.set(bytes)
  return bytes.length
}

/** Two inputs there and back, in one context: the second shows that nothing is left of the first. */
export const worksAsExpected = (context: ZstdContext): boolean => {
  const inputs = [Buffer.from('zstd '.repeat(2000)), Buffer.from(Uint8Array.from({ length: 4096 }, (_, at) => at * at))]
  try {
    return inputs.every((plain) => {
      const [payload, back] = [Buffer.alloc(16_384, 0xff), Buffer.alloc(plain.length + 1, 0xff)]
      const payloadBytes = context.compressInto(plain, payload)
      if (payloadBytes === null) return false
      const isSame = zstdDecompressSync(payload.subarray(0, payloadBytes)).equals(plain)
      const backBytes = context.expandInto(payload.subarray(0, payloadBytes), back)
      return isSame && backBytes === plain.length && back.subarray(0, backBytes).equals(plain)
    })
  } catch {
    return false
  }
}

let chosen: ZstdContext | null = null

/** This thread's context. */
export const zstdContext = (): ZstdContext => {
  if (chosen !== null) return chosen
  const reused = createPrivateContext()
  chosen = worksAsExpected(reused) ? reused : publicZstdContext
  return chosen
}
