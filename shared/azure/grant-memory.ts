import { acceptedSeconds } from './arm-access.ts'

/** SAS URLs in memory, by resource, until shortly before they expire. A URL does not show its own expiry, so it is kept beside. */
export interface GrantMemory {
  /** @returns the URL while it is surely good for some more minutes, else null */
  fresh(resourceId: string): string | null
  /** @param askedAtMs when the grant was asked for: its life may have begun then */
  keep(resourceId: string, sasUrl: string, askedAtMs: number, durationSeconds: number): void
  drop(resourceId: string): void
}

/** A grant with less life left than this, or a quarter of its life, is not handed out any more. */
const marginSecondsMax = 900

/** Nothing remembered yet. */
export const createGrantMemory = (nowMs: () => number): GrantMemory => {
  const grants = new Map<string, { readonly sasUrl: string; readonly freshUntilMs: number }>()
  return {
    fresh: (resourceId) => {
      const known = grants.get(resourceId.toLowerCase())
      return known !== undefined && nowMs() < known.freshUntilMs ? known.sasUrl : null
    },
    keep: (resourceId, sasUrl, askedAtMs, durationSeconds) => {
      const seconds = acceptedSeconds(durationSeconds)
      const freshUntilMs = askedAtMs + (seconds - Math.min(marginSecondsMax, seconds / 4)) * 1000
      grants.set(resourceId.toLowerCase(), { sasUrl, freshUntilMs })
    },
    drop: (resourceId) => {
      grants.delete(resourceId.toLowerCase())
    },
  }
}
