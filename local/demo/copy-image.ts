import { open } from 'node:fs/promises'

const chunkBytes = 1024 * 1024

/** Copies an image so that what reads as zeros becomes a hole of the copy. */
export const copyImage = async (fromPath: string, toPath: string): Promise<void> => {
  await using from = await open(fromPath)
  await using to = await open(toPath, 'w')
  const { size } = await from.stat()
  await to.truncate(size)
  const buffer = Buffer.alloc(chunkBytes)
  const zeros = Buffer.alloc(chunkBytes)
  for (let offsetBytes = 0; offsetBytes < size; ) {
    const { bytesRead } = await from.read(buffer, 0, chunkBytes, offsetBytes)
    if (bytesRead === 0) return
    const chunk = buffer.subarray(0, bytesRead)
    if (!chunk.equals(zeros.subarray(0, bytesRead))) await to.write(chunk, 0, bytesRead, offsetBytes)
    offsetBytes += bytesRead
  }
}
