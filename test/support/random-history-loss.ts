import type { BlobContent } from '../../shared/ports/blob-store.ts'
import { cut, flipped } from './random-history-damage.ts'
import type { Damaged, History } from './random-history-model.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Objects of this kind that are damaged at the same time. */
const lostMax = 2

/** Of the control container. What lies below the others is not sealed: a flipped bit of them may pass for what somebody wrote. */
const sealedPrefixes = ['intents/', 'condemned/', 'damage/', 'scrub/', 'bases/', 'keys/', 'marks/', 'plans/']
const otherPrefixes = ['attempts/', 'claims/', 'ended-jobs/', 'progress/', 'unfinished/']
const controlPrefixes = [...sealedPrefixes, 'plans/', 'plans/', 'intents/', 'claims/', ...otherPrefixes]

type How = 'all' | 'a bit' | 'the end'

/** Storage, or somebody, loses or damages what tells of data: a commit record, the record of a data key, an object of the control container. */
export const lose = async (history: History, random: SeededRandom): Promise<string> => {
  if (history.damaged.size >= lostMax) return 'nothing to lose'
  const drawn = random.below(8)
  if (drawn < 3) return loseRecord(history, random)
  if (drawn < 5) return loseOne(history, random, 'vault', 'keys/', howOf(random, 2))
  const names = [...history.world.control.objects.keys()]
  const prefixes = controlPrefixes.filter((one) => names.some((name) => name.startsWith(one)))
  const prefix = pick(random, prefixes) ?? 'plans/'
  const how = howOf(random, 2)
  return loseOne(history, random, 'control', prefix, how === 'a bit' && !isSealed(prefix) ? 'the end' : how)
}

const isSealed = (prefix: string): boolean => sealedPrefixes.includes(prefix)

/** @param lossOf one in so many is lost as a whole */
const howOf = (random: SeededRandom, lossOf: number): How => {
  if (random.below(lossOf) === 0) return 'all'
  return random.below(2) === 0 ? 'a bit' : 'the end'
}

const pick = <Item>(random: SeededRandom, items: readonly Item[]): Item | undefined => items[random.below(items.length)]

const loseOne = (history: History, random: SeededRandom, store: Damaged['store'], prefix: string, how: How): string => {
  const { objects } = history.world[store]
  const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && !history.damaged.has(name)).sort()
  const name = pick(random, names)
  return name === undefined ? `nothing below ${prefix}` : take(history, random, { store, name, how })
}

/** The newest revision of a recovery point, its first, or its only one, as a whole. */
const loseRecord = (history: History, random: SeededRandom): string => {
  const { objects } = history.world.vault
  if ([...history.damaged.keys()].some((name) => /^(layers|recovery-points)\//.test(name))) return 'others are damaged'
  const names = [...objects.keys()].filter((name) => name.startsWith('recovery-points/')).sort()
  const points = Map.groupBy(names, (name) => name.slice(0, name.lastIndexOf('/')))
  const revised = [...points.values()].filter(({ length }) => length > 1)
  const revisions = pick(random, revised.length > 0 && random.below(4) > 0 ? revised : [...points.values()]) ?? []
  const name = random.below(2) === 0 ? revisions[0] : revisions.at(-1)
  if (name === undefined) return 'no record'
  const which = revisions.length === 1 ? 'only' : name === revisions[0] ? 'first' : 'newest'
  const told = take(history, random, { store: 'vault', name, how: 'all' })
  if (which !== 'first') for (const unsure of [history.unsure, history.everUnsure]) unsure.add(name.split('/')[2] ?? '')
  return `${which} record, ${told}`
}

const take = (
  history: History,
  random: SeededRandom,
  { store, name, how }: { readonly store: Damaged['store']; readonly name: string; readonly how: How },
): string => {
  const objects: Map<string, BlobContent> = history.world[store].objects
  const content = objects.get(name)
  if (content === undefined) return 'nothing to lose'
  const after = how === 'all' ? null : how === 'a bit' ? flipped(content.bytes, random) : cut(content.bytes, random)
  history.damaged.set(name, { store, before: content.bytes, after })
  history.everDamaged.add(name)
  if (after === null) objects.delete(name)
  else objects.set(name, { ...content, bytes: after })
  return `${how} of ${name}`
}
