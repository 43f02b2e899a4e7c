import { changeExt4Disk, type Ext4Change, type Ext4Tools } from './ext4-disk.ts'
import { imagePathOf, type SampleFleet, writeRound } from './make-sample-fleet.ts'
import { changeRawDisk, type RawWrite } from './raw-disk.ts'
import { pickNumbers, randomBytesOf } from './sample-bytes.ts'
import { type SampleArea, type SampleContent, type SampleDisk, sampleMachines, textureOf } from './sample-machines.ts'

/** A day in the life of the sample fleet: log files come and go, single blocks of a database change, a part of a disk is wiped. Changes the
 * images in place, as guests would; each round differs from the one before, and the same round of the same seed is the same.
 * @returns what was done, a line for each disk */
export const changeSampleFleet = async (
  folder: string,
  fleet: SampleFleet,
  seed: string,
): Promise<{ readonly fleet: SampleFleet; readonly lines: readonly string[] }> => {
  const round = fleet.round + 1
  // Counted first: a change that was interrupted is never made a second time on top of its own half.
  await writeRound(folder, { round, hasExt4: fleet.tools !== null })
  const lines: string[] = []
  for (const disk of sampleMachines(fleet.tools !== null).flatMap((machine) => machine.disks)) {
    lines.push(await changeDisk(folder, fleet.tools, disk, round, `${seed}/${disk.name}/round-${round}`))
  }
  return { fleet: { ...fleet, round }, lines }
}

const pageBytes = 4096
const mebibyte = 1024 * 1024
const overwrittenBlocks = 400
const wipedBytes = 2 * mebibyte

const changeDisk = async (
  folder: string,
  tools: Ext4Tools | null,
  disk: SampleDisk,
  round: number,
  seed: string,
): Promise<string> => {
  const imagePath = imagePathOf(folder, disk.name)
  if (disk.content.kind === 'ext4' && tools !== null) {
    const { changes, said } = ext4Changes(disk.content, round, seed)
    await changeExt4Disk(tools, imagePath, changes, round)
    return `${disk.name}: ${said}`
  }
  const areas = disk.content.kind === 'raw' ? disk.content.areas : []
  await changeRawDisk(imagePath, rawWrites(areas, seed))
  return `${disk.name}: ${overwrittenBlocks} scattered pages overwritten, ${wipedBytes / mebibyte} MiB wiped with zeros`
}

const ext4Changes = (
  content: Extract<SampleContent, { kind: 'ext4' }>,
  round: number,
  seed: string,
): { readonly changes: readonly Ext4Change[]; readonly said: string } => {
  const changes: Ext4Change[] = []
  const said: string[] = []
  for (const file of content.files) {
    if (file.isDatabase) {
      const blocks = pickNumbers(seed, overwrittenBlocks, Math.floor(file.lengthBytes / pageBytes))
      const value = 1 + ((round * 37) % 255)
      changes.push(...blocks.map((block): Ext4Change => ({ kind: 'overwrite', path: file.path, block, value })))
      said.push(`${blocks.length} scattered blocks of ${file.path} overwritten`)
    }
    if (!file.path.endsWith('/day-0.log')) continue
    const path = file.path.replace('day-0', `day-${round}`)
    const gone = file.path.replace('day-0', `day-${round - 1}`)
    changes.push({ kind: 'write', file: { path, content: textureOf('lines', `${seed}${path}`, file.lengthBytes / 4) } })
    changes.push({ kind: 'remove', path: gone })
    said.push(`${path} written, ${gone} removed`)
  }
  return { changes, said: said.join('; ') }
}

const rawWrites = (areas: readonly SampleArea[], seed: string): readonly RawWrite[] => {
  const largest = areas.reduce((one, other) => (other.lengthBytes > one.lengthBytes ? other : one))
  const scattered = pickNumbers(seed, overwrittenBlocks, largest.lengthBytes / pageBytes - wipedBytes / pageBytes)
  const pages = scattered.map((page) => ({
    offsetBytes: largest.offsetBytes + page * pageBytes,
    content: randomBytesOf(`${seed}/${page}`, pageBytes),
  }))
  const end = largest.offsetBytes + largest.lengthBytes
  return [...pages, { offsetBytes: end - wipedBytes, content: Buffer.alloc(wipedBytes) }]
}
