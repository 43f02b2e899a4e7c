import { randomFillSync } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'

const mebibyte = 1024 * 1024
const pageBytes = 4096

/** A raw image whose first `dataBytes` of every stretch of `everyBytes` hold data; the rest was never written (a hole). A quarter of each MiB of data
 * is noise and the rest repeats, so that it compresses to about a quarter.
 * @param dataBytes a multiple of 1 MiB, at most `everyBytes` */
export const makeImage = async (
  path: string,
  image: { readonly sizeBytes: number; readonly everyBytes: number; readonly dataBytes: number },
): Promise<void> => {
  await using file = await open(path, 'w')
  await file.truncate(image.sizeBytes)
  const buffer = Buffer.alloc(mebibyte)
  for (let start = 0; start < image.sizeBytes; start += image.everyBytes)
    for (let at = start; at < Math.min(start + image.dataBytes, image.sizeBytes); at += mebibyte) {
      randomFillSync(buffer, 0, mebibyte / 4)
      buffer.fill(`a line of a log at ${at}\n`, mebibyte / 4)
      await file.write(buffer, 0, Math.min(mebibyte, image.sizeBytes - at), at)
    }
  await file.datasync()
}

/** Overwrites `pages` pages of 4 KiB, spread evenly, no two of them neighbours, with noise.
 * @param pages at most half of the image's pages */
export const writeScatteredPages = async (path: string, pages: number): Promise<void> => {
  await using file = await open(path, 'r+')
  const stride = Math.floor((await file.stat()).size / pageBytes / pages)
  if (stride < 2) throw new Error(`${pages} pages do not fit into ${path} with a page between two of them.`)
  for (let page = 0; page < pages; page += 64) await writeSome(file, page, Math.min(64, pages - page), stride)
  await file.datasync()
}

const writeSome = async (file: FileHandle, first: number, count: number, stride: number): Promise<void> => {
  const noise = randomFillSync(Buffer.alloc(pageBytes * count))
  const writes = Array.from({ length: count }, (_, index) =>
    file.write(noise, index * pageBytes, pageBytes, (first + index) * stride * pageBytes),
  )
  await Promise.all(writes)
}
