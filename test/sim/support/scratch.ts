import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder of task hub files, removed at the end. */
export interface Scratch {
  /** A path for a task hub's file that nobody has used. */
  fresh(): string
  /** A copy of a task hub's file as a killed engine leaves it: what is committed, and nothing else.
   * @returns its path */
  copy(databasePath: string): string
  drop(databasePath: string): void
  remove(): void
}

/** Linux keeps files here in memory. Crashes of the machine are not simulated, so no file has to reach a disk. */
const memoryFolder = '/dev/shm'

export const createScratch = (): Scratch => {
  const folder = mkdtempSync(join(existsSync(memoryFolder) ? memoryFolder : tmpdir(), 'job-simulation-'))
  let count = 0
  const fresh = (): string => {
    count += 1
    const own = join(folder, String(count))
    mkdirSync(own)
    return join(own, 'hub.db')
  }
  return {
    fresh,
    copy: (databasePath) => {
      const copied = fresh()
      for (const suffix of ['', '-wal'])
        if (existsSync(databasePath + suffix)) copyFileSync(databasePath + suffix, copied + suffix)
      return copied
    },
    drop: (databasePath) => rmSync(join(databasePath, '..'), { recursive: true, force: true }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
