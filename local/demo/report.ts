import type { ToldDisk, ToldOutcome } from '../../shared/jobs/told-outcome.ts'
import { type Column, formatTable } from './table.ts'
import { formatBytes, formatDuration } from './units.ts'

/** What the demo measured of one image by itself, with `stat` and by comparing pages. */
export interface MeasuredDisk {
  readonly allocatedBytes: number
  /** Bytes in 4 KiB pages that differ from the image at the run before; null where there is nothing to compare with. */
  readonly changedBytes: number | null
}

/** How one VM's backup ended, with what was measured of its disks by their label (`os`, `lun-0`). */
export interface VmResult {
  readonly vm: string
  readonly vmKey: string
  readonly outcome: ToldOutcome
  readonly statusUrl: string
  readonly measured: ReadonlyMap<string, MeasuredDisk>
}

/** One backup run of the whole fleet as two small tables: a line per disk, where there is any to tell of, and a line per VM. */
export const runTable = (results: readonly VmResult[]): readonly string[] => {
  const disks = results.flatMap((result) => disksOf(result.outcome).map((disk) => diskRow(result, disk)))
  return [
    ...(disks.length === 0 ? [] : [...formatTable(diskColumns, disks), legend, '']),
    ...formatTable(vmColumns, results.map(vmRow)),
    ...results.flatMap(failureLines),
  ]
}

const legend =
  'Named by diff: what the platform said has changed. Joined: the part of Read in small holes, read through as that is cheaper.'

/** How close the run came to moving changed pages only; null where no disk has a measured change.
 * `isGood` is false where more was stored than 1.05 x changed + 1 MiB. */
export const deltaVerdict = (
  results: readonly VmResult[],
): { readonly isGood: boolean; readonly line: string } | null => {
  const pairs = results.flatMap((result) =>
    disksOf(result.outcome).flatMap((disk) => {
      const changedBytes = result.measured.get(disk.disk)?.changedBytes ?? null
      return changedBytes === null ? [] : [{ ...disk, changedBytes }]
    }),
  )
  if (pairs.length === 0) return null
  const changed = sum(pairs.map((pair) => pair.changedBytes))
  const stored = sum(pairs.map((pair) => pair.storedPlainBytes))
  const read = sum(pairs.map((pair) => pair.readBytes))
  const joined = sum(pairs.map((pair) => pair.joinedBytes))
  const ratio = changed === 0 ? '' : ` (${(stored / changed).toFixed(3)} of the changed bytes)`
  return {
    isGood: stored <= 1.05 * changed + 1024 * 1024,
    line: `${formatBytes(changed)} changed in pages of 4 KiB; ${formatBytes(read)} read (${formatBytes(joined)} of it holes read through), ${formatBytes(stored)} stored before compression${ratio}.`,
  }
}

/** The disks that an outcome tells of. */
const disksOf = (outcome: ToldOutcome): readonly ToldDisk[] =>
  outcome.kind === 'completed' ? outcome.summary.disks : outcome.disks

const right = (title: string): Column => ({ title, align: 'right' })
const left = (title: string): Column => ({ title, align: 'left' })

const diskColumns: readonly Column[] = [
  left('VM'),
  left('Disk'),
  right('Size'),
  right('Allocated'),
  right('Changed'),
  right('Named by diff'),
  right('Read'),
  right('Joined'),
  right('Stored plain'),
  right('Stored'),
  right('Time'),
  left('Transfer'),
]

const vmColumns: readonly Column[] = [
  left('VM'),
  left('Outcome'),
  left('Consistency'),
  left('Recovery point'),
  left('Status URL'),
]

const diskRow = (result: VmResult, disk: ToldDisk): readonly string[] => {
  const measured = result.measured.get(disk.disk)
  const allocatedBytes = measured?.allocatedBytes ?? disk.allocatedBytes
  return [
    result.vm,
    disk.disk,
    formatBytes(disk.sizeBytes),
    allocatedBytes === null ? '-' : formatBytes(allocatedBytes),
    measured === undefined || measured.changedBytes === null ? '-' : formatBytes(measured.changedBytes),
    formatBytes(disk.changedBytes),
    formatBytes(disk.readBytes),
    formatBytes(disk.joinedBytes),
    formatBytes(disk.storedPlainBytes),
    formatBytes(disk.storedBytes),
    formatDuration(disk.milliseconds),
    disk.transfer === null
      ? disk.kind
      : disk.fullReason === null
        ? disk.transfer
        : `${disk.transfer} (${disk.fullReason}${disk.comparedWith === null ? '' : ', compared'})`,
  ]
}

const vmRow = ({ vm, outcome, statusUrl }: VmResult): readonly string[] =>
  outcome.kind === 'completed'
    ? [vm, outcome.kind, outcome.summary.consistency ?? '-', outcome.recoveryPointId, statusUrl]
    : [vm, outcome.kind, '-', '-', statusUrl]

const failureLines = ({ vm, outcome }: VmResult): readonly string[] => {
  if (outcome.kind === 'completed') return []
  const failed = outcome.disks.filter(({ kind }) => kind === 'failed')
  const each = failed.length > 1 ? failed.map(({ disk, code, reason }) => `  ${disk}: ${code}: ${reason}`) : []
  return [
    '',
    `${vm} ended ${outcome.kind}. ${outcome.code}: ${outcome.reason}`,
    ...each,
    `  What to do: ${outcome.hint}`,
  ]
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
