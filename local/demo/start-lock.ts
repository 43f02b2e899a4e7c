import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/**
 * Takes a data folder for this start alone, made where it is missing. The lock is SQLite's own on an empty file, which the system takes back
 * when a process dies, however it dies; the process id beside it is only for people.
 * @throws naming the process where another start has the folder
 */
export const lockForStart = async (dataFolder: string): Promise<AsyncDisposable> => {
  await mkdir(dataFolder, { recursive: true })
  const pidPath = join(dataFolder, 'start.pid')
  const database = new DatabaseSync(join(dataFolder, 'start.lock'), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    throw await refusal(error, dataFolder, pidPath)
  }
  await writeFile(pidPath, String(process.pid))
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(pidPath, { force: true })
      database.close()
    },
  }
}

const refusal = async (error: unknown, dataFolder: string, pidPath: string): Promise<Error> => {
  if ((error as { errcode?: unknown }).errcode !== sqliteBusy)
    return new Error(`The data folder ${dataFolder} cannot be locked.`, { cause: error })
  // The other one may not have written its id yet, or have removed it already.
  const pid = await readFile(pidPath, 'utf8').catch(() => '')
  const other = pid === '' ? 'Another npm start' : `Another npm start (process ${pid})`
  return new Error(`${other} is running on ${dataFolder}. Stop it, or name another folder with --data.`, {
    cause: error,
  })
}

/** SQLITE_BUSY of SQLite's result codes. */
const sqliteBusy = 5
