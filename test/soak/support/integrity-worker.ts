import { setImmediate as turn } from 'node:timers/promises'
import {
  type Damage,
  eachCut,
  eachFlip,
  eachLoss,
  eachSwap,
  judgeDamage,
  openDamageJudge,
} from '../../support/damages.ts'
import { makeSmallVault, type SmallVault, smallKinds } from '../../support/small-vault.ts'

/** Every damage of the smallest vaults, or one of several parts of them: `node integrity-worker.ts <part> <parts>`. Prints one line for each kind
 * of damage: vault, kind, cases, restores and checks that ran, those whose end was known; and one for each that was not taken as it should be. */
const [part = 0, parts = 1] = process.argv.slice(2).map(Number)

/** One in so many is judged once more with nothing taken for known. */
const judgedTwiceOneIn = 500

/** Stores in memory never let the event loop turn, and Node gives the memory of zstd contexts back only when it does: without a turn, several GiB. */
const casesPerTurn = 32

type Damages = (vault: SmallVault, isTaken: () => boolean) => Iterable<Damage>

const kinds: Readonly<Record<string, Damages>> = {
  flips: eachFlip,
  cuts: eachCut,
  losses: eachLoss,
  exchanges: eachSwap,
}

const tell = (...line: readonly unknown[]): void => console.log(JSON.stringify(line))

const judgeAll = async (vault: SmallVault, kind: string, damages: Damages): Promise<void> => {
  const { judge, counts } = await openDamageJudge(vault)
  let number = 0
  let cases = 0
  for (const damage of damages(vault, () => number++ % parts === part)) {
    if (cases % casesPerTurn === 0) await turn()
    const faults = await judge(damage)
    const again = cases % judgedTwiceOneIn === 0 ? await judgeDamage(vault, damage) : faults
    for (const fault of new Set([...faults, ...again])) tell('fault', `${vault.kind}, ${damage.what}: ${fault}`)
    if (again.length !== faults.length) tell('fault', `${vault.kind}, ${damage.what}: what is known of it is wrong`)
    cases += 1
  }
  tell('done', vault.kind, kind, cases, counts.run, counts.known)
}

process.once('disconnect', () => process.exit())
for (const kind of smallKinds) {
  const vault = await makeSmallVault(kind)
  for (const [name, damages] of Object.entries(kinds)) await judgeAll(vault, name, damages)
}
process.disconnect?.()
