import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { makeRawDisk } from '../../../local/fleet/raw-disk.ts'
import { pickNumbers, randomBytesOf } from '../../../local/fleet/sample-bytes.ts'

const run = promisify(execFile)

export const mebibyte = 1024 * 1024
export const pageBytes = 4096

/** A sparse raw image with noise in the given areas. */
export const makeImage = async (
  path: string,
  sizeBytes: number,
  seed: string,
  areas: readonly { readonly offsetBytes: number; readonly lengthBytes: number }[],
): Promise<void> =>
  makeRawDisk(
    path,
    sizeBytes,
    areas.map(({ offsetBytes, lengthBytes }) => ({
      offsetBytes,
      content: randomBytesOf(`${seed}/${offsetBytes}`, lengthBytes),
    })),
  )

/** `count` different pages of an area with noise of their own, in ascending order. */
export const scatteredPages = (
  seed: string,
  count: number,
  area: { readonly offsetBytes: number; readonly lengthBytes: number },
): readonly { readonly offsetBytes: number; readonly content: Buffer }[] =>
  pickNumbers(seed, count, area.lengthBytes / pageBytes).map((page) => ({
    offsetBytes: area.offsetBytes + page * pageBytes,
    content: randomBytesOf(`${seed}/page-${page}`, pageBytes),
  }))

/** What `cmp` says of two files: '' when they are the same. */
export const cmp = async (onePath: string, otherPath: string): Promise<string> =>
  run('cmp', [onePath, otherPath]).then(
    () => '',
    (error: { stdout?: string; stderr?: string }) => `${error.stdout ?? ''}${error.stderr ?? ''}` || 'cmp failed',
  )

/** Bytes in the 4 KiB pages of two files that differ, as `cmp -l` counts them. For differences that fit into memory as text. */
export const changedBytesByCmp = async (onePath: string, otherPath: string): Promise<number> => {
  const script =
    'cmp -l "$1" "$2" | awk \'{ page = int(($1 - 1) / 4096); if (page != last || NR == 1) { print page; last = page } }\' | sort -un | wc -l'
  const { stdout } = await run('sh', ['-c', script, 'sh', onePath, otherPath])
  return Number(stdout.trim()) * pageBytes
}

/** What `e2fsck -fn` complains about in an image; '' when it is clean, null where the tool is missing. */
export const e2fsckComplaint = async (path: string): Promise<string | null> =>
  run('e2fsck', ['-fn', path], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } }).then(
    () => '',
    (error: { code?: unknown; stdout?: string; stderr?: string }) =>
      error.code === 'ENOENT' ? null : `${error.stdout ?? ''}${error.stderr ?? ''}`,
  )

/** A copy that keeps holes, through the system's own `cp`. */
export const copyImage = async (fromPath: string, toPath: string): Promise<void> => {
  await run('cp', ['--sparse=always', fromPath, toPath])
}
