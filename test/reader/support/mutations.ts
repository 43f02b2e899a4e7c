import type { SeededRandom } from '../../support/seeded-random.ts'
import { forgeries } from './forgeries.ts'
import { anyName, bytesOf, type Mutant, type Mutation, nothing, pick } from './mutant.ts'
import type { Objects } from './objects.ts'

/** One thing wrong with the vault, or now and then two. */
export const mutate = (random: SeededRandom, objects: Objects): Mutant => {
  const first = pick(random, mutations)(random, objects)
  if (random.below(5) > 0) return first
  const then = new Map(objects)
  for (const [name, bytes] of first.changes) if (bytes !== null) then.set(name, bytes)
  const second = onDamaged(() => pick(random, mutations)(random, then))
  return {
    what: `${first.what}; ${second.what}`,
    changes: new Map([...first.changes, ...second.changes]),
    isForged: first.isForged || second.isForged,
  }
}

/** The first change may have left nothing where the second one works. */
const onDamaged = (second: () => Mutant): Mutant => {
  try {
    return second()
  } catch (error) {
    if (error instanceof RangeError) return nothing
    throw error
  }
}

/** A change of one object's bytes, nothing else. */
const changed =
  (what: string, change: (random: SeededRandom, bytes: Buffer, objects: Objects) => Buffer): Mutation =>
  (random, objects) => {
    const name = anyName(random, objects)
    const bytes = change(random, bytesOf(objects, name), objects)
    return { what: `${what} in ${name}`, changes: new Map([[name, bytes]]), isForged: false }
  }

const span = (random: SeededRandom, bytes: Buffer): [number, number] => {
  const from = random.below(bytes.length + 1)
  return [from, Math.min(bytes.length, from + 1 + random.below(random.below(2) === 0 ? 16 : 4096))]
}

const plainChanges: readonly Mutation[] = [
  changed('a flipped bit', (random, bytes) => {
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
    return bytes
  }),
  changed('a cut', (random, bytes) => bytes.subarray(0, random.below(bytes.length))),
  changed('a cut head', (random, bytes) => bytes.subarray(random.below(bytes.length))),
  changed('more at the end', (random, bytes) => Buffer.concat([bytes, random.bytes(1 + random.below(200))])),
  changed('zeros', (random, bytes) => bytes.fill(0, ...span(random, bytes))),
  changed('a lost block', (random, bytes) => {
    const [from, to] = span(random, bytes)
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
  }),
  changed('bytes of another object', (random, bytes, objects) => {
    const other = bytesOf(objects, anyName(random, objects))
    const [from, to] = span(random, other)
    other.copy(bytes, random.below(bytes.length), from, to)
    return bytes
  }),
  changed('another object', (random, bytes, objects) => {
    const other = bytesOf(objects, anyName(random, objects))
    return random.below(2) === 0 ? other : Buffer.concat([bytes, other])
  }),
  (random, objects) => {
    const name = anyName(random, objects)
    return { what: `no ${name}`, changes: new Map([[name, null]]), isForged: false }
  },
  (random, objects) => {
    const kind = pick(random, ['segments/', 'layers/', 'recovery-points/', ''])
    const [one, two] = [anyName(random, objects, kind), anyName(random, objects, kind)]
    const changes = new Map([
      [one, bytesOf(objects, two)],
      [two, bytesOf(objects, one)],
    ])
    return { what: `${one} and ${two} for each other`, changes, isForged: false }
  },
]

const mutations: readonly Mutation[] = [...plainChanges, ...forgeries]
