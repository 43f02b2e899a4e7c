import { describe, it } from 'vitest'
import { runRandomHistory } from '../support/random-history.ts'

/** Ten thousand whole histories. HISTORY_SEED=<first seed> and HISTORY_RUNS=<count> take others. */
const first = Number(process.env.HISTORY_SEED ?? 1000)
const runs = Number(process.env.HISTORY_RUNS ?? 10_000)
const toldEvery = 250

describe('random histories of a vault', () => {
  it(`keep what lives exact and leave nothing behind (seeds ${first} to ${first + runs - 1})`, async () => {
    const beganAt = performance.now()
    for (let done = 0; done < runs; done += 1) {
      await runRandomHistory(first + done)
      const seconds = (performance.now() - beganAt) / 1000
      if ((done + 1) % toldEvery === 0) console.log(`${done + 1} histories, ${((done + 1) / seconds).toFixed(1)}/s`)
    }
  })
})
