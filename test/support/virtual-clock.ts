import type { Clock } from '../../shared/ports/clock.ts'

/** A clock that stands still until somebody sleeps or `advance` is called. */
export const virtualClock = (
  startsAt = '2026-01-01T00:00:00.000Z',
): Clock & { advance(milliseconds: number): void } => {
  let now = Date.parse(startsAt)
  const advance = (milliseconds: number): void => {
    now += milliseconds
  }
  return {
    now: () => new Date(now),
    sleep: async (milliseconds, signal) => {
      signal?.throwIfAborted()
      advance(milliseconds)
    },
    advance,
  }
}
