import type { BlobReader } from '../../shared/ports/blob-store.ts'
import {
  isNeeded,
  type RestoreOutcome,
  readerOf,
  restoreOutcome,
  type SmallVault,
  scrubbedNames,
  withChanges,
} from './small-vault.ts'
import { watchReads } from './watched-reads.ts'

/** Something done to a vault. */
export interface Damage {
  readonly what: string
  readonly changes: Readonly<Record<string, Uint8Array | null>>
}

const objectsOf = ({ objects }: SmallVault): readonly (readonly [string, Uint8Array])[] => [...objects].sort()

/** Every single bit of every object.
 * @param isTaken asked for each: a sample leaves most of them out */
export function* eachFlip(vault: SmallVault, isTaken = () => true): Generator<Damage> {
  for (const [name, bytes] of objectsOf(vault))
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
  for (const [name, bytes] of objectsOf(vault))
    for (let length = 0; length < bytes.length; length += 1)
      if (isTaken()) yield { what: `${name} cut to ${length}`, changes: { [name]: bytes.subarray(0, length) } }
}

export function* eachLoss(vault: SmallVault, isTaken = () => true): Generator<Damage> {
  for (const [name] of objectsOf(vault)) if (isTaken()) yield { what: `no ${name}`, changes: { [name]: null } }
}

/** Every two objects. */
export function* eachSwap(vault: SmallVault, isTaken = () => true): Generator<Damage> {
  const all = objectsOf(vault)
  for (const [index, [one, bytesOfOne]] of all.entries())
    for (const [other, bytesOfOther] of all.slice(index + 1))
      if (isTaken())
        yield { what: `${one} and ${other} for each other`, changes: { [one]: bytesOfOther, [other]: bytesOfOne } }
}

/** How the whole of a vault is looked at. */
interface Answers {
  restore(recoveryPointId: string): Promise<RestoreOutcome>
  /** Names of what a check finds damaged. */
  scrub(): Promise<readonly string[]>
}

const answersOf = (vault: SmallVault, reader: BlobReader): Answers => ({
  restore: (id) => restoreOutcome(reader, vault, id),
  scrub: () => scrubbedNames(reader),
})

/** What is wrong with how the vault takes the damage; empty where all is as it should be: each damaged object that anything needs is named,
 * no other is, and a restore ends with the right bytes or with a fault that names a damaged object. Two exceptions: nothing tells that a commit record
 * which is gone ever was, so its recovery point is absent, or shows as it was before it; and what only a damaged record or layer names is not
 * looked at. */
export const judgeDamage = async (vault: SmallVault, damage: Damage): Promise<readonly string[]> =>
  faultsOf(vault, damage, answersOf(vault, readerOf(withChanges(vault.objects, damage.changes))))

export interface DamageJudge {
  judge(damage: Damage): Promise<readonly string[]>
  /** Restores and checks that ran, and those whose answer was known. */
  readonly counts: { run: number; known: number }
}

/** The same for many damages of one vault: a restore or a check is only run where it takes something of what the damage changes, byte for byte;
 * else it has the same answers of the store as in the whole vault, and ends as it does there. */
export const openDamageJudge = async (vault: SmallVault): Promise<DamageJudge> => {
  const counts = { run: 0, known: 0 }
  const knownOr = async <Value>(run: (answers: Answers) => Promise<Value>) => {
    const watch = watchReads(readerOf(vault.objects))
    const whole = await run(answersOf(vault, watch.reader))
    return ({ changes }: Damage, answers: Answers): Promise<Value> | Value => {
      const isSeen = Object.entries(changes).some(([name, bytes]) =>
        watch.wouldSee(name, vault.objects.get(name) ?? Buffer.alloc(0), bytes),
      )
      counts[isSeen ? 'run' : 'known'] += 1
      return isSeen ? run(answers) : whole
    }
  }
  const restores = new Map<string, Awaited<ReturnType<typeof knownOr<RestoreOutcome>>>>()
  for (const id of idsOf(vault)) restores.set(id, await knownOr((answers) => answers.restore(id)))
  const scrub = await knownOr((answers) => answers.scrub())
  const judge = (damage: Damage): Promise<readonly string[]> => {
    const answers = answersOf(vault, readerOf(withChanges(vault.objects, damage.changes)))
    return faultsOf(vault, damage, {
      restore: async (id) => restores.get(id)?.(damage, answers) ?? answers.restore(id),
      scrub: async () => scrub(damage, answers),
    })
  }
  return { judge, counts }
}

/** Of recovery points that can be restored, and of those that have ended. */
const idsOf = ({ images }: SmallVault): readonly string[] => [...images.keys(), ...endedIds]
const endedIds = ['r4', 'r5']

const faultsOf = async (vault: SmallVault, { changes }: Damage, answers: Answers): Promise<readonly string[]> => {
  const faults: string[] = []
  const changedNames = Object.keys(changes)
  const lostRecords = changedNames.filter((name) => changes[name] === null && isRecord(name))
  for (const id of idsOf(vault)) {
    const outcome = await answers.restore(id)
    if (endedIds.includes(id)) {
      if (outcome === 'right' || outcome === 'wrong') faults.push(`${id} is there`)
      continue
    }
    const mayBeAbsent = lostRecords.some((name) => name.includes(`/${id}/`))
    if (typeof outcome !== 'string' && !changedNames.includes(outcome.fault.name))
      faults.push(`the restore of ${id} names ${outcome.fault.name}`)
    if (outcome === 'wrong' || (outcome === 'absent' && !mayBeAbsent)) faults.push(`${id} is ${outcome}`)
  }
  const named = new Set(await answers.scrub())
  for (const name of changedNames) {
    const isSeen = !changedNames.some((other) => rankOf(other) < rankOf(name)) && !lostRecords.includes(name)
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
