import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The key file of the local vault, `wrapping.key` in the data folder: made at the first start, readable by its owner only, and kept, as the
 * recovery points of this folder cannot be restored without it. Where the vault has data keys no other is made.
 * @param hasDataKeys whether the vault of the data folder holds data keys, which a new key would not open; asked only where the file is missing
 * @returns its absolute path
 * @throws where the file is malformed, or missing although it is needed; the message says what to do */
export const loadOrCreateKeyFile = async (
  dataFolder: string,
  hasDataKeys: (dataFolder: string) => Promise<boolean>,
): Promise<string> => {
  const path = join(dataFolder, 'wrapping.key')
  await mkdir(dataFolder, { recursive: true })
  const text = await readFile(path, 'latin1').catch(absent)
  if (text !== null) {
    if (/^[0-9a-f]{64}\n/i.test(text)) return path
    throw new Error(`${path} is not a key file: it should hold 64 hex digits. Put the right one back.`)
  }
  if (await hasDataKeys(dataFolder))
    throw new Error(
      `The key file ${path} is missing, and the recovery points in this folder cannot be restored without it. Bring the file back. If it is lost for good, delete the folder ${dataFolder} to start with an empty vault.`,
    )
  await writeFile(path, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  return path
}

const absent = (error: NodeJS.ErrnoException): null => {
  if (error.code === 'ENOENT') return null
  throw error
}
