import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findExt4Tools } from '../../local/fleet/ext4-disk.ts'
import { pickNumbers, randomBytesOf } from '../../local/fleet/sample-bytes.ts'
import { allocatedRanges, bytesIn, changedRanges, pageBytes, type Ranges, writeRanges } from './image-ranges.ts'
import { rowsOf } from './work-bytes.ts'
import { type Tree, writeTree } from './work-tree.ts'

const run = promisify(execFile)
const mebibyte = 2 ** 20

export interface WorkSize {
  readonly name: string
  readonly imageBytes: number
  readonly tree: Tree
  readonly dayWrites: number
  readonly dayFilesBytes: number
  readonly cloneWrites: number
  readonly incompressibleBytes: number
}

export const fullWork: WorkSize = {
  name: 'full',
  imageBytes: 8 * 2 ** 30,
  tree: { programBytes: 1250 * mebibyte, rowBytes: 1420 * mebibyte, noiseBytes: 90 * mebibyte },
  dayWrites: 7210,
  dayFilesBytes: 256 * mebibyte,
  cloneWrites: 2000,
  incompressibleBytes: 2 ** 30,
}

export const quickWork: WorkSize = {
  name: 'quick',
  imageBytes: 2 ** 30,
  tree: { programBytes: 125 * mebibyte, rowBytes: 142 * mebibyte, noiseBytes: 9 * mebibyte },
  dayWrites: 800,
  dayFilesBytes: 32 * mebibyte,
  cloneWrites: 200,
  incompressibleBytes: 128 * mebibyte,
}

/** One state of a disk, with what is allocated and what changed since the state before it (null: nothing came before). */
export interface WorkImage {
  readonly path: string
  readonly sizeBytes: number
  readonly allocatedPath: string
  readonly allocatedBytes: number
  readonly changedPath: string | null
  readonly changedBytes: number
}

export interface WorkImages {
  /** `ext4`, or `plain` where mke2fs or debugfs is missing: the same bytes without a file system around them. */
  readonly kind: 'ext4' | 'plain'
  readonly base: WorkImage
  readonly dayA: WorkImage
  readonly dayB: WorkImage
  readonly clone: WorkImage
  readonly incompressible: WorkImage
}

/** Makes the images once; later runs find them.
 * @param folder is made; takes about five times what the base image holds */
export const workImages = async (folder: string, size: WorkSize): Promise<WorkImages> => {
  const done = join(folder, size.name, 'images.json')
  if (existsSync(done)) return JSON.parse(await readFile(done, 'utf8')) as WorkImages
  await rm(join(folder, size.name), { recursive: true, force: true })
  await mkdir(join(folder, size.name), { recursive: true })
  const images = await makeImages(join(folder, size.name), size)
  await writeFile(`${done}.tmp`, JSON.stringify(images, null, 2))
  await rename(`${done}.tmp`, done)
  return images
}

const makeImages = async (folder: string, size: WorkSize): Promise<WorkImages> => {
  const base = join(folder, 'base.img')
  const kind = await makeBase(folder, base, size)
  const dayA = await scattered(base, join(folder, 'day-a.img'), size, size.dayWrites)
  const dayB = await withFiles(dayA, join(folder, 'day-b.img'), size, kind)
  const clone = await scattered(base, join(folder, 'clone.img'), size, size.cloneWrites)
  const incompressible = join(folder, 'incompressible.img')
  await using file = await open(incompressible, 'w')
  for (let at = 0; at < size.incompressibleBytes; at += 8 * mebibyte)
    await file.write(randomBytesOf(`i${at}`, 8 * mebibyte))
  await file.datasync()
  return {
    kind,
    base: await described(base, null, size.imageBytes),
    dayA: await described(dayA, base, size.imageBytes),
    dayB: await described(dayB, dayA, size.imageBytes),
    clone: await described(clone, base, size.imageBytes),
    incompressible: await described(incompressible, null, size.incompressibleBytes),
  }
}

const makeBase = async (folder: string, base: string, size: WorkSize): Promise<'ext4' | 'plain'> => {
  const tree = join(folder, 'tree')
  await writeTree(tree, size.tree)
  const tools = await findExt4Tools()
  await using image = await open(base, 'w')
  await image.truncate(size.imageBytes)
  if (tools === null) await concatenated(tree, base)
  else await run(tools.mke2fs, ['-q', '-F', '-t', 'ext4', '-b', '4096', '-d', tree, base])
  await image.datasync()
  await rm(tree, { recursive: true })
  return tools === null ? 'plain' : 'ext4'
}

const concatenated = async (tree: string, image: string): Promise<void> => {
  await run('sh', ['-c', 'find "$1" -type f -exec cat {} + | dd of="$2" bs=1M conv=notrunc,sparse', 'sh', tree, image])
}

const copy = (from: string, to: string): Promise<unknown> => run('cp', ['--sparse=always', '--reflink=auto', from, to])

/** Overwrites pages that are in use, spread over all of them: every second one with noise, the others with rows of a database. */
const scattered = async (from: string, to: string, size: WorkSize, writes: number): Promise<string> => {
  await copy(from, to)
  const ranges = await allocatedRanges(from, size.imageBytes)
  const pages = Math.floor(bytesIn(ranges) / pageBytes)
  await using file = await open(to, 'r+')
  for (const [index, page] of pickNumbers(`${to.split('/').at(-1)}`, writes, pages).entries()) {
    const bytes =
      index % 2 === 0 ? randomBytesOf(`${writes}/${index}`, pageBytes) : rowsOf(`${writes}/${index}`, pageBytes)
    await file.write(bytes, 0, pageBytes, offsetOfPage(ranges, page))
  }
  await file.datasync()
  return to
}

const offsetOfPage = (ranges: Ranges, page: number): number => {
  let left = page * pageBytes
  for (const [offset, length] of ranges) {
    if (left < length) return offset + left
    left -= length
  }
  throw new RangeError(`page ${page} is not allocated`)
}

/** Adds large files: with debugfs, or where nothing is allocated. */
const withFiles = async (from: string, to: string, size: WorkSize, kind: 'ext4' | 'plain'): Promise<string> => {
  await copy(from, to)
  const files = 4
  const bytes = size.dayFilesBytes / files
  const commands: string[] = []
  for (let index = 0; index < files; index += 1) {
    const content = join(`${to}.file-${index}`)
    const rows = rowsOf(`files/${index}`, (bytes * 3) / 4)
    await writeFile(content, [rows, randomBytesOf(`files/${index}`, bytes / 4)])
    commands.push(`write ${content} large-${index}`)
  }
  const tools = await findExt4Tools()
  if (kind === 'ext4' && tools !== null) {
    await writeFile(`${to}.commands`, `${commands.join('\n')}\n`)
    await run(tools.debugfs, ['-w', '-f', `${to}.commands`, to])
    await rm(`${to}.commands`)
  } else {
    await run('sh', [
      '-c',
      `cat "$1".file-* | dd of="$1" bs=1M seek=${(size.imageBytes - size.dayFilesBytes) / mebibyte} conv=notrunc`,
      'sh',
      to,
    ])
  }
  for (let index = 0; index < files; index += 1) await rm(`${to}.file-${index}`)
  await run('sync', [to])
  return to
}

const described = async (path: string, before: string | null, sizeBytes: number): Promise<WorkImage> => {
  const allocated = await allocatedRanges(path, sizeBytes)
  const changed = before === null ? null : await changedRanges(before, path, sizeBytes)
  await writeRanges(`${path}.allocated.json`, allocated)
  if (changed !== null) await writeRanges(`${path}.changed.json`, changed)
  return {
    path,
    sizeBytes,
    allocatedPath: `${path}.allocated.json`,
    allocatedBytes: bytesIn(allocated),
    changedPath: changed === null ? null : `${path}.changed.json`,
    changedBytes: changed === null ? 0 : bytesIn(changed),
  }
}
