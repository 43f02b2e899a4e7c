import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The key file of the local vault, `wrapping.key` in the data folder: made at the first start, readable by its owner only, and kept, as the
 * recovery points of this folder cannot be restored without it.
 * @returns its absolute path */
export const loadOrCreateKeyFile = async (dataFolder: string): Promise<string> => {
  const path = join(dataFolder, 'wrapping.key')
  await mkdir(dataFolder, { recursive: true })
  await writeFile(path, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' }).catch(
    async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
      if (!/^[0-9a-f]{64}\n/i.test(await readFile(path, 'latin1')))
        throw new Error(`${path} is not a key file: it should hold 64 hex digits. Put the right one back.`)
    },
  )
  return path
}
