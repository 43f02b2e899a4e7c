import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Chances } from './chances.ts'
import { callText, type Watch } from './watch.ts'

/** Turns of the event loop that a call may take before it takes effect. */
const turnsMax = 12

/** Lets each call take its own time, so that calls that are under way together take effect in another order than they were made.
 * @param millisecondsMax what every third call may take in addition */
export const latency =
  (chances: Chances, millisecondsMax: number): Watch =>
  async (call, act) => {
    const random = chances.about(`latency ${callText(call)}`)
    for (let turns = random.below(turnsMax); turns > 0; turns -= 1) await nextTurn()
    if (millisecondsMax > 0 && random.below(3) === 0) await sleep(1 + random.below(millisecondsMax))
    return act()
  }

/** Each call takes so long that what runs beside is well ahead. */
export const laggard: Watch = async (_call, act) => {
  await sleep(5)
  return act()
}
