import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
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

/** `count` different pages of an area with noise of their own, in ascending order; no two of them touch, so that each is a range of its own. */
export const scatteredPages = (
  seed: string,
  count: number,
  area: { readonly offsetBytes: number; readonly lengthBytes: number },
): readonly { readonly offsetBytes: number; readonly content: Buffer }[] =>
  pickNumbers(seed, count, Math.floor(area.lengthBytes / pageBytes / 2)).map((page) => ({
    offsetBytes: area.offsetBytes + page * 2 * pageBytes,
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

/** The same as `cmp` for sparse files of tens of GiB: parts that are holes of both files are not read. Falls back to `cmp` without filefrag. */
export const cmpSparse = async (onePath: string, otherPath: string): Promise<string> => {
  const extents = await Promise.all([dataExtents(onePath), dataExtents(otherPath)])
  if (extents.includes(null)) return cmp(onePath, otherPath)
  await using one = await open(onePath)
  await using other = await open(otherPath)
  if ((await one.stat()).size !== (await other.stat()).size) return 'The files differ in size.'
  const chunks = new Set<number>()
  for (const { offsetBytes, lengthBytes } of extents.flatMap((list) => list ?? [])) {
    for (let at = Math.floor(offsetBytes / mebibyte); at * mebibyte < offsetBytes + lengthBytes; at += 1) chunks.add(at)
  }
  const buffers = [Buffer.alloc(mebibyte), Buffer.alloc(mebibyte)] as const
  for (const chunk of chunks) {
    const read = await Promise.all([
      one.read(buffers[0], 0, mebibyte, chunk * mebibyte),
      other.read(buffers[1], 0, mebibyte, chunk * mebibyte),
    ])
    const [left, right] = read.map(({ bytesRead }, index) => buffers[index as 0 | 1].subarray(0, bytesRead))
    if (!left!.equals(right!)) return `${onePath} and ${otherPath} differ in the MiB at ${chunk * mebibyte}.`
  }
  return ''
}

/** Where a file has data, as `filefrag` says; null where that is not to be had. */
const dataExtents = async (path: string) => {
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  const listed = await run('filefrag', ['-s', '-v', `-b${pageBytes}`, path], { env, maxBuffer: 256 * mebibyte }).catch(
    () => null,
  )
  if (listed === null) return null
  return [...listed.stdout.matchAll(/^ *\d+: +(\d+)\.\. +(\d+):/gm)].map(([, first, last]) => ({
    offsetBytes: Number(first) * pageBytes,
    lengthBytes: (Number(last) - Number(first) + 1) * pageBytes,
  }))
}
