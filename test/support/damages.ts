import { isNeeded, readerOf, restoreOutcome, type SmallVault, scrubbedNames, withChanges } from './small-vault.ts'

/** Something done to a vault. */
export interface Damage {
  readonly what: string
  readonly changes: Readonly<Record<string, Uint8Array | null>>
}

const neededOf = ({ objects }: SmallVault): readonly (readonly [string, Uint8Array])[] => [...objects].sort()

/** Every single bit of every object.
 * @param isTaken asked for each: a sample leaves most of them out */
export function* eachFlip(vault: SmallVault, isTaken = () => true): Generator<Damage> {
  for (const [name, bytes] of neededOf(vault))
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      if (!isTaken()) continue
      const flipped = Buffer.from(bytes)
      const at = bit >>> 3
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7))
      yield { what: `bit ${bit & 7} of byte ${at} of ${name}`, changes: { [name]: flipped } }
    }
}

/** Every shorter length of every object. */
export function* eachCut(vault: SmallVault, isTaken = () => true): Generator<Damage> {
  for (const [name, bytes] of neededOf(vault))
    for (let length = 0; length < bytes.length; length += 1)
      if (isTaken()) yield { what: `${name} cut to ${length}`, changes: { [name]: bytes.subarray(0, length) } }
}

export function* eachLoss(vault: SmallVault): Generator<Damage> {
  for (const [name] of neededOf(vault)) yield { what: `no ${name}`, changes: { [name]: null } }
}

/** Every two objects. */
export function* eachSwap(vault: SmallVault, isTaken = () => true): Generator<Damage> {
  const all = neededOf(vault)
  for (const [index, [one, bytesOfOne]] of all.entries())
    for (const [other, bytesOfOther] of all.slice(index + 1))
      if (isTaken())
        yield { what: `${one} and ${other} for each other`, changes: { [one]: bytesOfOther, [other]: bytesOfOne } }
}

/** What is wrong with how the vault takes the damage; empty where all is as it should be: each damaged object that anything needs is named,
 * no other is, and a restore ends with the right bytes or with a fault that names a damaged object. Two exceptions: nothing tells that a commit record
 * which is gone ever was, so its recovery point is absent, or shows as it was before it; and what only a damaged record or layer names is not
 * looked at. */
export const judgeDamage = async (vault: SmallVault, damage: Damage): Promise<readonly string[]> =>
  createDamageJudge(vault, new Map())(damage)

/** The same for many damages of one vault.
 * @param readBy what each restore reads: the others are left out where the names of the objects stay the same */
export const createDamageJudge =
  (vault: SmallVault, readBy: ReadonlyMap<string, ReadonlySet<string>>) =>
  async (damage: Damage): Promise<readonly string[]> => {
    const reader = readerOf(withChanges(vault.objects, damage.changes))
    const faults: string[] = []
    const lostRecords = Object.entries(damage.changes).filter(([name, bytes]) => bytes === null && isRecord(name))
    const changedNames = Object.keys(damage.changes)
    const isReadBy = (id: string): boolean => {
      const names = readBy.get(id)
      return names === undefined || changedNames.some((name) => names.has(name) || damage.changes[name] === null)
    }
    for (const id of [...vault.images.keys()].filter(isReadBy)) {
      const outcome = await restoreOutcome(reader, vault, id)
      const mayBeAbsent = lostRecords.some(([name]) => name.includes(`/${id}/`))
      if (typeof outcome !== 'string' && !changedNames.includes(outcome.fault.name))
        faults.push(`the restore of ${id} names ${outcome.fault.name}`)
      if (outcome === 'wrong' || (outcome === 'absent' && !mayBeAbsent)) faults.push(`${id} is ${outcome}`)
    }
    for (const id of changedNames.some(isRecord) ? ['r4', 'r5'] : []) {
      const outcome = await restoreOutcome(reader, vault, id)
      if (outcome === 'right' || outcome === 'wrong') faults.push(`${id} is there`)
    }
    const named = new Set(await scrubbedNames(reader))
    for (const [name, bytes] of Object.entries(damage.changes)) {
      const isSeen = !changedNames.some((other) => rankOf(other) < rankOf(name)) && !(bytes === null && isRecord(name))
      const mustBeNamed = isNeeded(name) && isSeen
      if (mustBeNamed && !named.has(name)) faults.push(`${name} is not named`)
      named.delete(name)
    }
    if (lostRecords.length === 0 && named.size > 0) faults.push(`${[...named].join(' ')} named for nothing`)
    return faults
  }

/** Objects of one rank are found through those of lower ranks. */
const rankOf = (name: string): number => (name.startsWith('segments/') ? 2 : isRecord(name) ? 0 : 1)

const isRecord = (name: string): boolean => name.startsWith('recovery-points/')
