import type { IncomingMessage } from 'node:http'

/** The Functions host's limit for the body of a request. Source: ScriptConstants.DefaultMaxRequestBodySize. */
export const bodyBytesMax = 104_857_600

/** Reads a whole body; null where it is longer than `bytesMax` (found out by its length, or while reading). */
export const readBody = async (request: IncomingMessage, bytesMax: number): Promise<Uint8Array | null> => {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return null
  const chunks: Buffer[] = []
  let lengthBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length
    if (lengthBytes > bytesMax) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
