import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytesOf } from '../../local/fleet/sample-bytes.ts'
import { binaryOf, rowsOf } from './work-bytes.ts'

/** What the files of the base image hold together. */
export interface Tree {
  /** Programs and libraries of this machine, as far as there are enough of them; made up beyond that. */
  readonly programBytes: number
  readonly rowBytes: number
  /** What was compressed already: pictures, archives. */
  readonly noiseBytes: number
}

const mebibyte = 2 ** 20
const fileBytes = 4 * mebibyte
const programFolders = ['/usr/lib', '/usr/bin', '/usr/share', '/usr/libexec', '/usr/local']
const programBytesMin = 16 * 1024

export const writeTree = async (folder: string, tree: Tree): Promise<void> => {
  for (const kind of ['programs', 'rows', 'noise']) await mkdir(join(folder, kind), { recursive: true })
  const copied = await copyPrograms(join(folder, 'programs'), tree.programBytes)
  await writeFiles(join(folder, 'programs'), tree.programBytes - copied, binaryOf)
  await writeFiles(join(folder, 'rows'), tree.rowBytes, rowsOf)
  await writeFiles(join(folder, 'noise'), tree.noiseBytes, randomBytesOf)
}

const writeFiles = async (
  folder: string,
  bytes: number,
  content: (seed: string, lengthBytes: number) => Buffer,
): Promise<void> => {
  for (let at = 0; at < bytes; at += fileBytes)
    await writeFile(
      join(folder, `made-${at}`),
      content(`${folder.split('/').at(-1)}/${at}`, Math.min(fileBytes, bytes - at)),
    )
}

/** @returns bytes copied: at most `bytesMax`, fewer where the machine has no more */
const copyPrograms = async (folder: string, bytesMax: number): Promise<number> => {
  let bytes = 0
  let files = 0
  for (const from of programFolders)
    for await (const path of filesBelow(from)) {
      const { size } = await stat(path)
      if (size < programBytesMin || bytes + size > bytesMax) continue
      await copyFile(path, join(folder, String(files)), constants.COPYFILE_FICLONE)
      bytes += size
      files += 1
      if (bytes > bytesMax - programBytesMin) return bytes
    }
  return bytes
}

async function* filesBelow(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else if (entry.isFile()) yield path
  }
}
