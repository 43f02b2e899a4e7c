import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/**
 * Takes a data folder for this process alone, made where it is missing. The lock is SQLite's own on an empty file, which
 * the system takes back when a process dies, however it dies.
 * @returns a function that gives the folder free again
 * @throws where another host has the folder
 */
export const lockDataFolder = async (dataFolder: string): Promise<() => void> => {
  await mkdir(dataFolder, { recursive: true })
  const database = new DatabaseSync(path.join(dataFolder, 'host.lock'), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    const message = `Another host is running on the data folder ${dataFolder}. Stop it, or name another folder with --data.`
    throw new Error(message, { cause: error })
  }
  return () => database.close()
}
