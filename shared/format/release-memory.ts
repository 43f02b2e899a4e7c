/** Smaller buffers may lie in the pool that Node shares among many, 64 KiB in Node 24, which cannot be given back. */
const ownBufferBytesMin = 256 * 1024

/** Gives the memory of a large buffer back at once instead of at some garbage collection: zlib's outputs are a MiB each, and hundreds
 * would pile up in a second. The bytes and every view of them are gone afterwards.
 * @param bytes made by this program's own zlib call and used by nobody else; smaller ones are left to the collector */
export const releaseMemory = (bytes: Uint8Array): void => {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= ownBufferBytesMin && !buffer.detached) buffer.transfer(0)
}
