import { execFile } from 'node:child_process'
import { link, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Contestant, imageOf, type Operation, type Sample } from './contestant.ts'
import { type Measured, measureCommand } from './measured-command.ts'
import { diskUsage } from './page-cache.ts'
import type { WorkImages } from './work-images.ts'

const run = promisify(execFile)

/** First line of what the program says of its version; null where it is not on the machine. */
export const versionOf = async (command: string, args: readonly string[]): Promise<string | null> =>
  run(command, args).then(
    ({ stdout, stderr }) => (stdout || stderr).split('\n')[0] ?? '',
    () => null,
  )

/** restic as it comes: packs compressed by `auto`, encrypted, its cache beside the repository. */
export const resticPeer = async (folder: string, images: WorkImages): Promise<Contestant> => {
  const repository = join(folder, 'repository')
  const env = {
    RESTIC_REPOSITORY: repository,
    RESTIC_PASSWORD: 'bench',
    RESTIC_CACHE_DIR: join(folder, 'cache'),
  }
  await mkdir(folder, { recursive: true })
  await run('restic', ['init'], { env: { ...process.env, ...env } })
  return peer('restic', folder, repository, images, (operation, cwd) =>
    operation === 'restore'
      ? measureCommand('restic', ['restore', 'latest', '--tag', 'dayA', '--target', 'restored'], { cwd, env })
      : measureCommand('restic', ['backup', '--quiet', '--tag', operation, 'work/disk.img'], { cwd, env }),
  )
}

/** borg with fixed chunks of 1 MiB, zstd level 1, no encryption; holes are skipped, both ways. */
export const borgPeer = async (folder: string, images: WorkImages): Promise<Contestant> => {
  const repository = join(folder, 'repository')
  const env = {
    BORG_REPO: repository,
    BORG_BASE_DIR: join(folder, 'base'),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  }
  await mkdir(join(folder, 'restored'), { recursive: true })
  await run('borg', ['init', '-e', 'none'], { env: { ...process.env, ...env } })
  const create = ['create', '--chunker-params', 'fixed,1048576', '--compression', 'zstd,1', '--sparse']
  return peer('borg', folder, repository, images, (operation, cwd) =>
    operation === 'restore'
      ? measureCommand('borg', ['extract', '--sparse', '::dayA'], { cwd: join(cwd, 'restored'), env })
      : measureCommand('borg', [...create, `::${operation}`, 'work/disk.img'], { cwd, env }),
  )
}

const peer = (
  name: string,
  folder: string,
  repository: string,
  images: WorkImages,
  perform: (operation: Operation, cwd: string) => Promise<Measured>,
): Contestant => ({
  name,
  operations: ['full', 'dayA', 'dayB', 'restore'],
  storeFolder: repository,
  restoredPath: join(folder, 'restored/work/disk.img'),
  run: async (operation) => {
    await present(folder, imageOf(images, operation).path)
    const before = await diskUsage(repository)
    const measured = await perform(operation, folder)
    return sampleOf(measured, operation === 'restore' ? 0 : (await diskUsage(repository)) - before)
  },
  [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
})

/** The disk has one path on all days. */
const present = async (folder: string, image: string): Promise<void> => {
  await mkdir(join(folder, 'work'), { recursive: true })
  await rm(join(folder, 'work/disk.img'), { force: true })
  await link(image, join(folder, 'work/disk.img'))
}

const sampleOf = (measured: Measured, storedBytes: number): Sample => ({
  wallSeconds: measured.wallSeconds,
  clientCpuSeconds: measured.cpuSeconds,
  allCpuSeconds: null,
  peakRssBytes: measured.peakRssBytes,
  storedBytes,
})
