import { type FileHandle, open } from 'node:fs/promises'

/** What comparing two images found. `atByte` is the first offset that differs, counted from 0. */
export type Comparison = { readonly kind: 'same' } | { readonly kind: 'different'; readonly atByte: number }

/** Compares two files byte for byte, as `cmp` does; files of different length differ at the end of the shorter. */
export const compareImages = async (onePath: string, otherPath: string): Promise<Comparison> => {
  let found: number | null = null
  const sizes = await eachChunkPair(onePath, otherPath, (one, other, offsetBytes) => {
    if (one.equals(other)) return true
    const length = Math.min(one.length, other.length)
    let at = 0
    while (at < length && one[at] === other[at]) at += 1
    found = offsetBytes + at
    return false
  })
  if (found !== null) return { kind: 'different', atByte: found }
  return sizes.one === sizes.other ? { kind: 'same' } : { kind: 'different', atByte: Math.min(sizes.one, sizes.other) }
}

/** Bytes in the 4 KiB pages of two images of one size that differ: what a perfect incremental backup would have to move. It reads both
 * files whole and knows nothing of the platform's lists of changes. */
export const changedBytesBetween = async (beforePath: string, afterPath: string): Promise<number> => {
  let pages = 0
  await eachChunkPair(beforePath, afterPath, (before, after) => {
    if (!before.equals(after)) pages += differingPages(before, after)
    return true
  })
  return pages * pageBytes
}

const pageBytes = 4096
const chunkBytes = 4 * 1024 * 1024

const differingPages = (before: Buffer, after: Buffer): number => {
  let pages = 0
  for (let at = 0; at < Math.max(before.length, after.length); at += pageBytes) {
    if (!before.subarray(at, at + pageBytes).equals(after.subarray(at, at + pageBytes))) pages += 1
  }
  return pages
}

/** Calls `visit` with the same part of both files, in order, until it answers false. */
const eachChunkPair = async (
  onePath: string,
  otherPath: string,
  visit: (one: Buffer, other: Buffer, offsetBytes: number) => boolean,
): Promise<{ readonly one: number; readonly other: number }> => {
  await using one = await open(onePath)
  await using other = await open(otherPath)
  const sizes = { one: (await one.stat()).size, other: (await other.stat()).size }
  const buffers = { one: Buffer.alloc(chunkBytes), other: Buffer.alloc(chunkBytes) }
  for (let offsetBytes = 0; offsetBytes < Math.max(sizes.one, sizes.other); offsetBytes += chunkBytes) {
    const oneChunk = await readChunk(one, buffers.one, offsetBytes)
    const otherChunk = await readChunk(other, buffers.other, offsetBytes)
    if (!visit(oneChunk, otherChunk, offsetBytes)) break
  }
  return sizes
}

const readChunk = async (file: FileHandle, buffer: Buffer, offsetBytes: number): Promise<Buffer> => {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, offsetBytes + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}
