import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { makeSmallVault, smallKinds } from '../support/small-vault.ts'

/** Every damage of the smallest vaults, in as many processes as there are processors: together a quarter of an hour of one. INTEGRITY_PARTS=<n>
 * cuts all cases into so many parts instead, of which the first ones are gone through, one a processor: a sample. */
const processes = availableParallelism()
const parts = Number(process.env.INTEGRITY_PARTS ?? processes)
const worker = fileURLToPath(new URL('support/integrity-worker.ts', import.meta.url))
const faultsMax = 20

interface Tally {
  /** By vault and kind of damage. */
  readonly cases: Map<string, number>
  readonly faults: string[]
  run: number
  known: number
}

type Line = readonly ['fault', string] | readonly ['done', string, string, number, number, number]

const runPart = async (part: number, tally: Tally): Promise<void> => {
  const child = spawn(process.execPath, ['--single-threaded-gc', worker, `${part}`, `${parts}`], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  for await (const text of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const line = JSON.parse(text) as Line
    if (line[0] === 'fault') {
      tally.faults.push(line[1])
      if (tally.faults.length >= faultsMax) child.kill()
      continue
    }
    const [, vault, kind, cases, run, known] = line
    tally.cases.set(`${vault} ${kind}`, (tally.cases.get(`${vault} ${kind}`) ?? 0) + cases)
    tally.run += run
    tally.known += known
  }
  expect([(await exited)[0], tally.faults]).toEqual([0, []])
}

describe('a small vault', () => {
  it('has every flipped bit, every cut, every lost object and every exchange of two named', async () => {
    const tally: Tally = { cases: new Map(), faults: [], run: 0, known: 0 }
    await Promise.all(Array.from({ length: Math.min(parts, processes) }, (_, part) => runPart(part, tally)))
    for (const [of, cases] of tally.cases) console.log(`${of}: ${cases}`)
    console.log(`${tally.run} restores and checks ran, ${tally.known} ended as they do in the whole vault`)
    if (parts > processes) return
    for (const kind of smallKinds) {
      const sizes = [...(await makeSmallVault(kind)).objects.values()].map(({ length }) => length)
      const bytes = sizes.reduce((sum, length) => sum + length, 0)
      expect(tally.cases.get(`${kind} flips`)).toBe(bytes * 8)
      expect(tally.cases.get(`${kind} cuts`)).toBe(bytes)
    }
  })
})
