import type { SeededRandom } from '../../support/seeded-random.ts'
import type { Changes, Objects } from './objects.ts'

/** A vault with something wrong. */
export interface Mutant {
  readonly what: string
  readonly changes: Changes
  /** Digests were made anew up to the commit record, so that nothing can tell that other bytes were meant. */
  readonly isForged: boolean
}

export type Mutation = (random: SeededRandom, objects: Objects) => Mutant

export const nothing: Mutant = { what: 'nothing', changes: new Map(), isForged: false }

export const pick = <T>(random: SeededRandom, from: readonly T[]): T => {
  const picked = from[random.below(from.length)]
  if (picked === undefined) throw new Error('there is nothing to pick from')
  return picked
}

/** A name of an object that a restore may read. */
export const anyName = (random: SeededRandom, objects: Objects, prefix = ''): string =>
  pick(
    random,
    [...objects.keys()].filter((name) => name.startsWith(prefix) && !name.startsWith('slices/')),
  )

export const bytesOf = (objects: Objects, name: string): Buffer => Buffer.from(objects.get(name) ?? Buffer.alloc(0))
