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

/** Some lives end in the middle of the first look, some see whole passes. */
const livesMs = [1000, 7000, 20_000]

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
    const lifeMs = 50 + random.below(livesMs[random.below(livesMs.length)] ?? 0)
    let diesAt = Number.POSITIVE_INFINITY
    const killIn = (ms: number) => {
      diesAt = Date.now() + ms
    }
    const watch = setInterval(() => {
      if (isOver() || Date.now() > diesAt) child.kill('SIGKILL')
    }, 20)
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const [kind, removed] = line.split(' ')
      if (kind === 'begins') killIn(lifeMs)
      else tally.calls += 1
      tally.removed += Number(removed)
    })
    const [code] = (await exited) as [number | null]
    clearInterval(watch)
    if (code !== null) throw new Error(`the collector ended by itself with code ${code}`)
    tally.kills += 1
  }
}
