import { Readable } from 'node:stream'

/** A body handed to TLS in one write is encrypted whole into memory; pieces let the socket drain in between. */
const pieceBytes = 256 * 1024

/** The smallest block worth a request of its own; Azure Blob Storage takes at most 50,000 blocks in one blob (Put Block List). */
export const blockBytesMin = 4 * 1024 * 1024

/** Bytes of all parts together. */
export const lengthOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, part) => sum + part.byteLength, 0)

/** One request body of several parts, which are not put together in memory. The function makes a new stream for each try. */
export const bodyOf = (parts: readonly Uint8Array[]): Buffer | (() => NodeJS.ReadableStream) =>
  lengthOf(parts) <= pieceBytes ? Buffer.concat(parts) : () => Readable.from(piecesOf(parts))

function* piecesOf(parts: readonly Uint8Array[]): Generator<Buffer> {
  for (const part of parts)
    for (let offset = 0; offset < part.byteLength; offset += pieceBytes)
      yield Buffer.from(part.buffer, part.byteOffset + offset, Math.min(pieceBytes, part.byteLength - offset))
}

/** Puts small parts together until they are worth a block; large parts pass through untouched. A small part is copied, so its
 * producer may use its buffer again; a large one is passed on before the next part is asked for.
 * @returns blocks of at least 4 MiB (the last may be smaller); empty where there are no bytes */
export async function* blocksOf(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let gathered: Uint8Array[] = []
  let gatheredBytes = 0
  for await (const part of parts) {
    if (part.byteLength === 0) continue
    if (gatheredBytes === 0 && part.byteLength >= blockBytesMin) {
      yield part
      continue
    }
    // Not slice(), which shares memory where the part is a Buffer.
    gathered.push(new Uint8Array(part))
    gatheredBytes += part.byteLength
    if (gatheredBytes < blockBytesMin) continue
    yield Buffer.concat(gathered)
    gathered = []
    gatheredBytes = 0
  }
  if (gatheredBytes > 0) yield Buffer.concat(gathered)
}
