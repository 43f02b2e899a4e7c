import { describe, expect, it } from 'vitest'
import { runRandomHistory } from '../../support/random-history.ts'

/** Whole histories, drawn from seeds. HISTORY_SEED=<seed> HISTORY_RUNS=1 replays one; the soak goes through many more. */
const first = Number(process.env.HISTORY_SEED ?? 1)
const runs = Number(process.env.HISTORY_RUNS ?? 250)

/** What must come up in so many histories: else they show less than they seem to. */
const turns = [
  / incremental, /,
  /compared with vault/,
  /compared with image/,
  /base-gone/,
  /diff-unsupported/,
  /disk-recreated/,
  /in [2-9] slices/,
  /"folded":[1-9]/,
  /"rewrittenBytes":[1-9]/,
  /[1-9]\d* removed/,
  /rotateDataKey.*changed/,
  /rewrapped/,
  /restore.*exact/,
  /scrub.*done/,
  /given up/,
  /superseded/,
  /: sleeps$/,
  /: died$/,
  /damage: all of layers/,
  /damage: a bit of segments/,
  /damage: the end of recovery-points/,
  /meets damage/,
  /is whole with [1-9] damaged/,
  /mend: .*segments/,
  /lose: only record/,
  /lose: newest record/,
  /lose: .* of keys\/[^/]+\//,
  /lose: .* of plans\//,
  /without: .*recovery-points/,
  /meets damage .*keys\//,
]

describe('a random history of a vault', { timeout: 900_000 }, () => {
  it(`keeps what lives exact and leaves nothing behind (seeds ${first} to ${first + runs - 1})`, async () => {
    const unseen = new Set(turns)
    for (let seed = first; seed < first + runs; seed += 1)
      for (const told of await runRandomHistory(seed))
        for (const turn of unseen) if (turn.test(told)) unseen.delete(turn)
    if (runs >= 250) expect([...unseen]).toEqual([])
  })

  it('is the same history for the same seed', async () => {
    expect(await runRandomHistory(first)).toEqual(await runRandomHistory(first))
  })
})
