import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { SeededRandom } from '../../support/seeded-random.ts'

const worker = fileURLToPath(new URL('worker.ts', import.meta.url))

export interface Tally {
  kills: number
  calls: number
  removed: number
}

/** Runs a collector process, kills it at a random moment, starts the next one, until it is told to stop. */
export const keepCollecting = async (
  stores: readonly [connectionString: string, vault: string, control: string],
  id: string,
  random: SeededRandom,
  isOver: () => boolean,
  tally: Tally,
): Promise<void> => {
  for (let life = 0; !isOver(); life += 1) {
    const child = spawn(process.execPath, [worker, ...stores, `${id}-${life}`], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const exited = once(child, 'exit')
    const lifeMs = 50 + random.below(random.below(2) === 0 ? 1000 : 7000)
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const [kind, removed] = line.split(' ')
      if (kind === 'begins') setTimeout(() => child.kill('SIGKILL'), lifeMs)
      else tally.calls += 1
      tally.removed += Number(removed)
    })
    const [code] = (await exited) as [number | null]
    if (code !== null) throw new Error(`the collector ended by itself with code ${code}`)
    tally.kills += 1
  }
}
