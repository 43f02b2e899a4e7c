import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from './ports/clock.ts'

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  sleep: async (milliseconds, signal) => {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal })
  },
}
