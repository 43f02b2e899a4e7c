import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Ext4Tools, findExt4Tools, makeExt4Disk } from './ext4-disk.ts'
import { makeRawDisk } from './raw-disk.ts'
import { fleetFileOf } from './sample-fleet-file.ts'
import { type SampleDisk, sampleMachines, textureOf } from './sample-machines.ts'

/** A sample fleet on disk. */
export interface SampleFleet {
  readonly fleetPath: string
  /** False: it was there already and is left as it is. */
  readonly isNew: boolean
  /** Null: the disks hold raw bytes, as mke2fs and debugfs were not found when the fleet was made. */
  readonly tools: Ext4Tools | null
  /** How often the disks were changed by `changeSampleFleet`. */
  readonly round: number
}

/** Makes the sample fleet in a folder, or takes the one that is there. The fleet file is written last: a fleet that was interrupted is made
 * anew. The same seed gives the same bytes.
 * @param policyTime `HH:MM` in UTC, the daily slot of the sample policy
 * @param findTools asked for e2fsprogs; where it has none, the disks hold raw bytes */
export const makeSampleFleet = async (
  folder: string,
  seed: string,
  policyTime: string,
  findTools: () => Promise<Ext4Tools | null> = findExt4Tools,
): Promise<SampleFleet> => {
  const fleetPath = join(folder, 'fleet.json')
  const found = await readRound(folder)
  if (found !== null && (await exists(fleetPath))) {
    return {
      fleetPath,
      isNew: false,
      tools: found.hasExt4 ? await toolsAgain(folder, findTools) : null,
      round: found.round,
    }
  }
  const tools = await findTools()
  const machines = sampleMachines(tools !== null)
  await mkdir(join(folder, 'images'), { recursive: true })
  for (const disk of machines.flatMap((machine) => machine.disks)) await makeDisk(tools, folder, seed, disk)
  await writeRound(folder, { round: 0, hasExt4: tools !== null })
  await writeFile(`${fleetPath}.new`, `${JSON.stringify(fleetFileOf(machines, policyTime), null, 2)}\n`)
  await rename(`${fleetPath}.new`, fleetPath)
  return { fleetPath, isNew: true, tools, round: 0 }
}

/** The image of one sample disk. */
export const imagePathOf = (folder: string, diskName: string): string => join(folder, 'images', `${diskName}.raw`)

/** Remembers how often the fleet was changed, so that each change differs from the one before. */
export const writeRound = async (
  folder: string,
  round: { readonly round: number; readonly hasExt4: boolean },
): Promise<void> => writeFile(join(folder, 'changes.json'), `${JSON.stringify(round)}\n`)

const readRound = async (folder: string): Promise<{ round: number; hasExt4: boolean } | null> => {
  const text = await readFile(join(folder, 'changes.json'), 'utf8').catch(() => null)
  if (text === null) return null
  const parsed: unknown = JSON.parse(text)
  const { round, hasExt4 } = parsed as { round?: unknown; hasExt4?: unknown }
  return typeof round === 'number' && typeof hasExt4 === 'boolean' ? { round, hasExt4 } : null
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Writing at random into disks that hold a file system would spoil it, so there is no way round the tools then. */
const toolsAgain = async (folder: string, findTools: () => Promise<Ext4Tools | null>): Promise<Ext4Tools> => {
  const tools = await findTools()
  if (tools !== null) return tools
  throw new Error(
    `The sample disks in ${folder} hold ext4 file systems, and debugfs, which changes their files, is no longer found. ` +
      'Install e2fsprogs again, or remove the folder so that a new sample fleet is made.',
  )
}

const makeDisk = async (tools: Ext4Tools | null, folder: string, seed: string, disk: SampleDisk): Promise<void> => {
  const imagePath = imagePathOf(folder, disk.name)
  const diskSeed = `${seed}/${disk.name}`
  if (disk.content.kind === 'ext4' && tools !== null) {
    const { label, folders, files } = disk.content
    const contents = files.map(({ path, texture, lengthBytes }) => ({
      path,
      content: textureOf(texture, `${diskSeed}${path}`, lengthBytes),
    }))
    return makeExt4Disk(tools, imagePath, {
      seed: diskSeed,
      sizeBytes: disk.sizeBytes,
      label,
      folders,
      files: contents,
    })
  }
  const areas = disk.content.kind === 'raw' ? disk.content.areas : []
  const writes = areas.map(({ offsetBytes, lengthBytes, texture }) => ({
    offsetBytes,
    content: textureOf(texture, `${diskSeed}/${offsetBytes}`, lengthBytes),
  }))
  return makeRawDisk(imagePath, disk.sizeBytes, writes)
}
