import { describe, it } from 'vitest'
import { runRandomHistory } from '../../support/random-history.ts'

/** Whole histories, drawn from seeds. HISTORY_SEED=<seed> HISTORY_RUNS=1 replays one; the soak goes through many more. */
const first = Number(process.env.HISTORY_SEED ?? 1)
const runs = Number(process.env.HISTORY_RUNS ?? 200)

describe('a random history of a vault', { timeout: 180_000 }, () => {
  it(`keeps what lives exact and leaves nothing behind (seeds ${first} to ${first + runs - 1})`, async () => {
    for (let seed = first; seed < first + runs; seed += 1) await runRandomHistory(seed)
  })
})
