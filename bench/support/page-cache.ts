import { execFile } from 'node:child_process'
import { closeSync, openSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Ranges } from './image-ranges.ts'
import type { WorkImage } from './work-images.ts'

const run = promisify(execFile)
const pieceBytes = 4 * 2 ** 20

/** Reads what is allocated, so that every program finds the image in the page cache: what is compared is the programs, not the disk. */
export const warm = async (image: WorkImage): Promise<void> => {
  const ranges = JSON.parse(await readFile(image.allocatedPath, 'utf8')) as Ranges
  const buffer = Buffer.alloc(pieceBytes)
  const file = openSync(image.path, 'r')
  for (const [offset, length] of ranges)
    for (let at = 0; at < length; at += pieceBytes)
      readSync(file, buffer, 0, Math.min(pieceBytes, length - at), offset + at)
  closeSync(file)
}

/** Writes everything out and forgets the files below a folder: what a program stored is read from the disk by whoever reads it next.
 * Needs no root: `dd` asks the system to drop one file's pages (posix_fadvise). */
export const chill = async (folder: string): Promise<void> => {
  await run('sync', [])
  await run('sh', [
    '-c',
    'find "$1" -type f -exec sh -c \'for file do dd if="$file" iflag=nocache count=0; done\' sh {} +',
    'sh',
    folder,
  ])
}

export const diskUsage = async (folder: string): Promise<number> => {
  const { stdout } = await run('du', ['-s', '--block-size=1', folder])
  return Number(stdout.split('\t')[0])
}
