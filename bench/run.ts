/**
 * Measures everything that docs/performance.md tells: rounds of backups and restores against restic and borg, what an increment costs, memory,
 * the way through the Functions host. Prints a Markdown table and writes it with all samples below `.local/bench`. Options: `--help`.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { type Choices, parseChoices, usage } from './support/choices.ts'
import { type Contestant, type Operation, operations, type Sample } from './support/contestant.ts'
import { hostRows } from './support/host-rows.ts'
import { memoryRows } from './support/memory-rows.ts'
import { orchestrationRows } from './support/orchestration-rows.ts'
import { ourContestant } from './support/ours.ts'
import { borgPeer, resticPeer, versionOf } from './support/peers.ts'
import { type Server, startServer } from './support/processes.ts'
import { goalTable, machineLines, recordIn, sampleTable, workLine } from './support/report.ts'
import { roundRows } from './support/round-rows.ts'
import { runRound } from './support/rounds.ts'
import type { Row } from './support/row.ts'
import { azuriteStorage, sinkStorage } from './support/storage.ts'
import { structuralRows } from './support/structural-rows.ts'
import { uploadRows } from './support/upload-rows.ts'
import { fullWork, quickWork, type WorkImages, workImages } from './support/work-images.ts'

const benchFolder = join(import.meta.dirname, '../.local/bench')
const documentPath = join(import.meta.dirname, '../docs/performance.md')
const scratchFolder = join(benchFolder, 'scratch')
const began = performance.now()
const say = (line: string): void => console.error(`${((performance.now() - began) / 1000).toFixed(0)} s: ${line}`)

const main = async (choices: Choices): Promise<void> => {
  const [busyBefore = 0] = loadavg()
  await rm(scratchFolder, { recursive: true, force: true })
  await mkdir(scratchFolder, { recursive: true })
  say('makes the images, unless an earlier run has')
  const images = await workImages(join(benchFolder, 'images'), choices.isQuick ? quickWork : fullWork)
  await using source = await startServer('source-server.ts', [])
  const samples = new Map<string, Sample[]>()
  const rows = [...(await rounds(choices, images, source, samples)), ...(await otherRows(choices, images, source))]
  await rm(scratchFolder, { recursive: true, force: true })
  await tell(choices, { images, samples, rows, busyBefore })
}

const rounds = async (
  choices: Choices,
  images: WorkImages,
  source: Server,
  samples: Map<string, Sample[]>,
): Promise<readonly Row[]> => {
  const wanted = operations.filter((operation) => choices.parts.has(operation))
  if (wanted.length === 0) return []
  const peers = choices.isAlone ? [] : await peersHere()
  for (let round = 0; round < choices.runs; round += 1) {
    // What a clone stores does not change from run to run.
    const ofRound = wanted.filter((operation) => round === 0 || !['original', 'clone'].includes(operation))
    const options = { images, wanted: new Set(ofRound), say, isChecked: round === 0 }
    await runRound(round, () => contestants(images, source, peers), options, samples)
  }
  return roundRows(samples, images, availableParallelism())
}

type Enter = (folder: string, images: WorkImages) => Promise<Contestant>

const peersHere = async (): Promise<readonly (readonly [string, Enter])[]> => {
  const known = [
    ['restic', 'version', resticPeer],
    ['borg', '--version', borgPeer],
  ] as const
  const here: (readonly [string, Enter])[] = []
  for (const [name, ask, enter] of known) {
    if ((await versionOf(name, [ask])) === null) say(`${name} is not on this machine: its rows stay empty`)
    else here.push([name, enter])
  }
  return here
}

const contestants = async (
  images: WorkImages,
  source: Server,
  peers: readonly (readonly [string, Enter])[],
): Promise<readonly Contestant[]> => {
  const place = (name: string): string => join(scratchFolder, name)
  const ours = async (name: string, storage: typeof azuriteStorage, does: readonly Operation[]) =>
    ourContestant({
      name,
      folder: place(name),
      images,
      source,
      storage: await storage(place(`${name}/store`)),
      operations: does,
    })
  return [
    await ours('azurite', azuriteStorage, operations),
    await ours('sink', sinkStorage, ['full', 'dayA', 'again', 'dayB', 'restore']),
    ...(await Promise.all(peers.map(([name, enter]) => enter(place(name), images)))),
  ]
}

const otherRows = async (choices: Choices, images: WorkImages, source: Server): Promise<readonly Row[]> => {
  const { parts, runs } = choices
  const rows: Row[] = []
  const add = async (part: Parameters<typeof parts.has>[0], measure: () => Promise<readonly Row[]>): Promise<void> => {
    if (!parts.has(part)) return
    say(`measures ${part}`)
    rows.push(...(await measure().catch((error: unknown) => notMeasured(part, error))))
  }
  await add('upload', () => uploadRows({ folder: join(scratchFolder, 'upload'), images, source }, runs, say))
  await add('structure', () => structuralRows(scratchFolder, source))
  await add('memory', () => memoryRows(scratchFolder, images))
  await add('host', () => hostRows(join(scratchFolder, 'host'), images, runs, say))
  await add('orchestration', () => orchestrationRows(join(scratchFolder, 'orchestration'), choices.vms))
  return rows
}

/** One part that fails does not take the others with it. */
const notMeasured = (part: string, error: unknown): readonly Row[] => {
  console.error(error)
  return [{ goal: part, wanted: '', measured: 'could not be measured', isMet: null }]
}

interface Results {
  readonly images: WorkImages
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  readonly rows: readonly Row[]
  /** Load average of the minute before the run. */
  readonly busyBefore: number
}

const tell = async (choices: Choices, { images, samples, rows, busyBefore }: Results): Promise<void> => {
  const machine = await machineLines()
  const minutes = ((performance.now() - began) / 60_000).toFixed(0)
  const run = `${choices.runs} rounds in ${minutes} minutes; medians; load average before: ${busyBefore.toFixed(1)}`
  const about = [...machine, workLine(images), run]
  const text = `${about.map((line) => `- ${line}`).join('\n')}\n\n${goalTable(rows)}\n\n${sampleTable(samples)}\n`
  const facts = { machine, choices: { ...choices, parts: [...choices.parts] }, busyBefore, images, rows }
  await writeFile(join(benchFolder, 'result.md'), text)
  await writeFile(
    join(benchFolder, 'result.json'),
    JSON.stringify({ ...facts, samples: Object.fromEntries(samples) }, null, 2),
  )
  if (choices.isRecorded) await recordIn(documentPath, text)
  console.log(text)
  say(`all of it is in ${join(benchFolder, 'result.json')}`)
}

if (process.argv.includes('--help')) console.log(usage)
else {
  try {
    await main(parseChoices(process.argv.slice(2)))
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    console.error(`${error.message}\n${usage}`)
    process.exitCode = 2
  }
}
