import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { uuidOf } from './sample-bytes.ts'

/** Where the tools of e2fsprogs lie on this machine. They work on ordinary files and need no root. */
export interface Ext4Tools {
  readonly mke2fs: string
  readonly debugfs: string
}

export interface Ext4File {
  /** Absolute path inside the file system; its folders must be named in `folders`. */
  readonly path: string
  readonly content: Buffer
}

/** One change to an existing file system, made in order. `overwrite` fills one 4 KiB block of a file in place with one byte value;
 * to `remove` what is not there is no mistake. */
export type Ext4Change =
  | { readonly kind: 'write'; readonly file: Ext4File }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'overwrite'; readonly path: string; readonly block: number; readonly value: number }

/** The tools, or null where one of the two is missing. Debian keeps them in /sbin, which is not on every user's PATH. */
export const findExt4Tools = async (): Promise<Ext4Tools | null> => {
  const mke2fs = await findTool('mke2fs')
  const debugfs = await findTool('debugfs')
  return mke2fs === null || debugfs === null ? null : { mke2fs, debugfs }
}

/** Makes a sparse raw image with an ext4 file system in it. The same arguments give the same bytes: identifiers come from the seed,
 * times from the fake clock of e2fsprogs.
 * @param sizeBytes a multiple of 4,096
 * @param folders absolute paths, parents first */
export const makeExt4Disk = async (
  tools: Ext4Tools,
  imagePath: string,
  disk: {
    readonly seed: string
    readonly sizeBytes: number
    readonly label: string
    readonly folders: readonly string[]
    readonly files: readonly Ext4File[]
  },
): Promise<void> => {
  const image = await open(imagePath, 'w')
  await image.truncate(disk.sizeBytes)
  await image.close()
  const options = `hash_seed=${uuidOf(`${disk.seed}/hash`)},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0`
  const identity = ['-U', uuidOf(disk.seed), '-L', disk.label, '-E', options]
  await run(tools.mke2fs, ['-q', '-F', '-t', 'ext4', '-b', '4096', ...identity, imagePath], firstDay)
  const changes = disk.files.map((file): Ext4Change => ({ kind: 'write', file }))
  await runDebugfs(
    tools,
    imagePath,
    disk.folders.map((folder) => `mkdir ${folder}`),
    changes,
    firstDay,
  )
}

/** Changes files of an existing image with `debugfs -w`. The same changes on the same bytes give the same bytes.
 * @param day days after the file system was made; becomes the time of the changes */
export const changeExt4Disk = async (
  tools: Ext4Tools,
  imagePath: string,
  changes: readonly Ext4Change[],
  day: number,
): Promise<void> => runDebugfs(tools, imagePath, [], changes, firstDay + day * 86_400)

/** 2026-01-01T00:00:00Z in seconds. */
const firstDay = 1_767_225_600

const runFile = promisify(execFile)

const findTool = async (name: string): Promise<string | null> => {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].filter((folder) => folder !== '')
  for (const folder of folders) {
    const path = join(folder, name)
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return null
}

const run = async (tool: string, args: readonly string[], nowSeconds: number): Promise<string> => {
  const time = String(nowSeconds)
  const env = { ...process.env, E2FSPROGS_FAKE_TIME: time, SOURCE_DATE_EPOCH: time, LC_ALL: 'C', TZ: 'UTC' }
  const { stdout, stderr } = await runFile(tool, args, { env, maxBuffer: 64 * 1024 * 1024 })
  return `${stdout}\n${stderr}`
}

/** debugfs goes on after a command that failed and still ends with 0, so its answers are read: it says nothing but the echoed commands,
 * its own version and `Allocated inode` when all is well, and `rm: File not found` where a file to remove is gone already. */
const runDebugfs = async (
  tools: Ext4Tools,
  imagePath: string,
  firstCommands: readonly string[],
  changes: readonly Ext4Change[],
  nowSeconds: number,
): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'deltavault-ext4-'))
  try {
    const commands = [...firstCommands]
    for (const [index, change] of changes.entries())
      commands.push(await commandOf(change, join(folder, `file-${index}`)))
    const script = join(folder, 'commands')
    await writeFile(script, `${commands.join('\n')}\n`)
    const said = await run(tools.debugfs, ['-w', '-f', script, imagePath], nowSeconds)
    const complaint = said
      .split('\n')
      .find((line) => line.trim() !== '' && !/^(debugfs[ :]|Allocated inode: |rm: File not found)/.test(line))
    if (complaint !== undefined) throw new Error(`debugfs could not change ${imagePath}: ${complaint.trim()}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const commandOf = async (change: Ext4Change, scratchPath: string): Promise<string> => {
  switch (change.kind) {
    case 'write':
      await writeFile(scratchPath, change.file.content)
      return `write ${scratchPath} ${change.file.path}`
    case 'remove':
      return `rm ${change.path}`
    case 'overwrite':
      return `zap_block -f ${change.path} -p 0x${change.value.toString(16)} ${change.block}`
    default:
      return change satisfies never
  }
}
