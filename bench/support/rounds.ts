import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { type Contestant, imageOf, type Operation, operations, type Sample } from './contestant.ts'
import { chill, warm } from './page-cache.ts'
import type { WorkImages } from './work-images.ts'

const run = promisify(execFile)

/** Samples by contestant and operation, one a round. */
export type Samples = ReadonlyMap<string, readonly Sample[]>

export interface RoundOptions {
  readonly images: WorkImages
  readonly wanted: ReadonlySet<Operation>
  readonly say: (line: string) => void
  /** Compares what was restored with the image. */
  readonly isChecked: boolean
}

/** One round: every contestant, with a fresh store, does one operation before any does the next; who begins changes from round to round. So
 * whatever else the machine does meets all of them alike.
 * @param enter makes the contestants; they are removed at the end of the round */
export const runRound = async (
  round: number,
  enter: () => Promise<readonly Contestant[]>,
  options: RoundOptions,
  samples: Map<string, Sample[]>,
): Promise<void> => {
  const entered = await enter()
  await using stack = new AsyncDisposableStack()
  for (const contestant of entered) stack.use(contestant)
  const turn = round % entered.length
  const order = [...entered.slice(turn), ...entered.slice(0, turn)]
  for (const operation of neededFor(options.wanted))
    for (const contestant of order.filter((candidate) => candidate.operations.includes(operation))) {
      await warm(imageOf(options.images, operation))
      await chill(contestant.storeFolder)
      const sample = await contestant.run(operation)
      const key = `${contestant.name}/${operation}`
      samples.set(key, [...(samples.get(key) ?? []), sample])
      options.say(`round ${round + 1}: ${key} ${sample.wallSeconds.toFixed(2)} s`)
      if (operation === 'restore') await check(contestant, options)
    }
}

/** All before the last one that is wanted: each builds on those before it. */
const neededFor = (wanted: ReadonlySet<Operation>): readonly Operation[] => {
  const isIncremental = ['dayA', 'late', 'again', 'dayB', 'restore'].some((operation) =>
    wanted.has(operation as Operation),
  )
  const needed = new Set<Operation>(isIncremental ? ['full'] : [])
  if (wanted.has('late') || wanted.has('again') || wanted.has('restore')) needed.add('dayA')
  if (wanted.has('clone')) needed.add('original')
  for (const operation of wanted) needed.add(operation)
  return operations.filter((operation) => needed.has(operation))
}

const check = async (contestant: Contestant, { images, isChecked }: RoundOptions): Promise<void> => {
  if (isChecked) await run('cmp', [images.dayA.path, contestant.restoredPath])
  await rm(contestant.restoredPath, { force: true })
}
