import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, release, totalmem } from 'node:os'
import { type Operation, operations } from './contestant.ts'
import { versionOf } from './peers.ts'
import type { Samples } from './rounds.ts'
import type { Row } from './row.ts'
import { median } from './statistics.ts'
import type { WorkImages } from './work-images.ts'

const mebibyte = 2 ** 20

/** The machine and the programs of a run, for people. */
export const machineLines = async (): Promise<readonly string[]> => {
  const model = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown processor'
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`
  const [restic, borg] = [await versionOf('restic', ['version']), await versionOf('borg', ['--version'])]
  return [
    `${availableParallelism()} cores (${model}), ${memory}, Linux ${release()}, Node ${process.versions.node}`,
    `peers: ${[restic, borg].filter((version) => version !== null).join('; ') || 'none on this machine'}`,
  ]
}

export const workLine = (images: WorkImages): string => {
  const mib = (bytes: number): string => `${(bytes / mebibyte).toFixed(1)} MiB`
  return `work (${images.kind}): ${mib(images.base.sizeBytes)} of disk with ${mib(images.base.allocatedBytes)} allocated; day A ${mib(images.dayA.changedBytes)}, day B ${mib(images.dayB.changedBytes)}, clone ${mib(images.clone.changedBytes)}`
}

/** The goals as a Markdown table. */
export const goalTable = (rows: readonly Row[]): string =>
  table(
    ['Goal', 'Wanted', 'Measured', ''],
    rows.map(({ goal, wanted, measured, isMet }) => [goal, wanted, measured, verdict(isMet)]),
  )

const verdict = (isMet: boolean | null): string => (isMet === null ? '-' : isMet ? 'met' : '**missed**')

/** Medians of every operation as a Markdown table. */
export const sampleTable = (samples: Samples): string => {
  const rows = [...samples].map(([key, all]) => {
    const middle = (value: (sample: (typeof all)[number]) => number): number => median(all.map(value))
    const [name = '', operation = ''] = key.split('/')
    return [
      name,
      operation,
      middle(({ wallSeconds }) => wallSeconds).toFixed(2),
      middle(({ clientCpuSeconds }) => clientCpuSeconds).toFixed(2),
      middle(({ peakRssBytes }) => peakRssBytes / mebibyte).toFixed(0),
      middle(({ storedBytes }) => storedBytes / mebibyte).toFixed(1),
      String(all.length),
    ]
  })
  rows.sort((one, other) => place(one) - place(other))
  return table(['Store', 'Operation', 'Wall s', 'Client CPU s', 'Peak MiB', 'Stored MiB', 'Runs'], rows)
}

/** Puts a text between the marks of a document, in place of what stands there.
 * @throws where the document has no such marks */
export const recordIn = async (path: string, text: string): Promise<void> => {
  const document = await readFile(path, 'utf8')
  const [from, to] = [document.indexOf(firstMark), document.indexOf(lastMark)]
  if (from < 0 || to < from) throw new Error(`${path} has no place for the tables: ${firstMark} and ${lastMark}`)
  const before = document.slice(0, from + firstMark.length)
  await writeFile(path, `${before}\n\n${text.trim()}\n\n${document.slice(to)}`)
}

const firstMark = '<!-- measured -->'
const lastMark = '<!-- end of measured -->'

const place = ([name = '', operation = '']: readonly string[]): number =>
  operations.indexOf(operation as Operation) * 10 + ['azurite', 'sink', 'restic', 'borg'].indexOf(name)

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
