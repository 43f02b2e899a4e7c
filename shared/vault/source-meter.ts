import type { PlannedRead } from '../domain/read-plan.ts'
import type { DiskReader } from '../ports/disk-reader.ts'

/** What was really received from the source for one slice, and how much of it nobody wanted. */
export interface SourceMeter {
  /** Counts the holes of a read that has arrived. A cleared range inside a read is not wanted, so it is part of the hole. */
  arrived(read: PlannedRead): void
  totals(): SourceTotals
}

interface SourceTotals {
  readonly readBytes: number
  readonly joinedBytes: number
  readonly readCalls: number
}

/** The plan knows the holes; the reader alone knows what it received: a read that broke off has cost its bytes, too.
 * @param reader used for this slice alone while the meter runs; what it counted before is left out */
export const sourceMeter = ({ counters }: DiskReader): SourceMeter => {
  const before = { ...counters }
  let joinedBytes = 0
  return {
    arrived: ({ lengthBytes, parts }) => {
      const named = parts.reduce((sum, part) => sum + (part.kind === 'data' ? part.lengthBytes : 0), 0)
      joinedBytes += lengthBytes - named
    },
    totals: () => ({
      readBytes: counters.readBytes - before.readBytes,
      joinedBytes,
      readCalls: counters.readCalls - before.readCalls,
    }),
  }
}
