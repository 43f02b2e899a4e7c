import { createHash } from 'node:crypto'
import { type SeededRandom, seededRandom } from '../../support/seeded-random.ts'

/** Chances that follow from a seed and from what they are about, not from the order in which things happen to come: runs of one seed meet
 * the same faults, however their calls interleave. */
export interface Chances {
  /** The random numbers of the next occurrence of this subject. */
  about(subject: string): SeededRandom
}

export const createChances = (seed: number): Chances => {
  const occurrences = new Map<string, number>()
  return {
    about: (subject) => {
      const text = withoutTimes(subject)
      const occurrence = (occurrences.get(text) ?? 0) + 1
      occurrences.set(text, occurrence)
      return seededRandom(createHash('sha256').update(`${seed}\n${text}\n${occurrence}`).digest().readUInt32LE(0))
    },
  }
}

/** Names hold the time of the run, which differs from run to run. */
const withoutTimes = (text: string): string =>
  text
    .replace(/\d{8}t\d{6}z-[0-9a-f]{10}/g, 'id')
    .replace(/ended-jobs\/\d+/g, 'ended-jobs/')
    .replace(/token-\d+/g, 'token')
