import { closeSync, openSync, readSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createExtentFinder } from '../../local/compute/disks/allocated-extents.ts'

/** `[offsetBytes, lengthBytes]`, sorted, not overlapping. */
export type Ranges = readonly (readonly [number, number])[]

export const pageBytes = 4096
const pieceBytes = 1024 * 1024

/** What the image's file system holds on this machine, in whole pages. */
export const allocatedRanges = async (path: string, sizeBytes: number): Promise<Ranges> => {
  const ranges: [number, number][] = []
  for await (const extent of createExtentFinder().find({ path, sizeBytes, partBytes: null }))
    ranges.push([extent.offsetBytes, extent.lengthBytes])
  return ranges
}

/** The pages in which two images of one size differ, by comparison; neighbours are joined. */
export const changedRanges = async (before: string, after: string, sizeBytes: number): Promise<Ranges> => {
  const [first, second] = [Buffer.alloc(pieceBytes), Buffer.alloc(pieceBytes)]
  const [one, other] = [openSync(before, 'r'), openSync(after, 'r')]
  const changed: [number, number][] = []
  for (const [offset, length] of await allocatedRanges(after, sizeBytes))
    for (let at = offset; at < offset + length; at += pieceBytes) {
      const wanted = Math.min(pieceBytes, offset + length - at)
      readSync(one, first, 0, wanted, at)
      readSync(other, second, 0, wanted, at)
      if (first.compare(second, 0, wanted, 0, wanted) !== 0) addPages(changed, first, second, at, wanted)
    }
  closeSync(one)
  closeSync(other)
  return changed
}

const addPages = (changed: [number, number][], first: Buffer, second: Buffer, at: number, length: number): void => {
  for (let page = 0; page < length; page += pageBytes) {
    if (first.compare(second, page, page + pageBytes, page, page + pageBytes) === 0) continue
    const last = changed.at(-1)
    if (last !== undefined && last[0] + last[1] === at + page) last[1] += pageBytes
    else changed.push([at + page, pageBytes])
  }
}

export const bytesIn = (ranges: Ranges): number => ranges.reduce((sum, [, length]) => sum + length, 0)

export const writeRanges = (path: string, ranges: Ranges): Promise<void> => writeFile(path, JSON.stringify(ranges))
