import { beforeAll, describe, expect, it } from 'vitest'
import { type Damage, eachCut, eachFlip, eachLoss, eachSwap, judgeDamage } from '../support/damages.ts'
import { seedOf } from '../support/seed-of.ts'
import { seededRandom } from '../support/seeded-random.ts'
import {
  makeSmallVault,
  readerOf,
  restoreOutcome,
  type SmallVault,
  scrubbedNames,
  smallKinds,
} from '../support/small-vault.ts'

/** A sample of all damages of the smallest vaults; test/soak/integrity.test.ts tries every one. INTEGRITY_SEED replays. */
const seed = seedOf('INTEGRITY_SEED', 20_261_122)
const random = seededRandom(seed)

const oneIn = (count: number) => (): boolean => random.below(count) === 0

const expectNamed = async (vault: SmallVault, damages: Iterable<Damage>): Promise<void> => {
  for (const damage of damages)
    expect(await judgeDamage(vault, damage), `INTEGRITY_SEED=${seed} ${vault.kind} ${damage.what}`).toEqual([])
}

describe.each(smallKinds)('a vault (%s) that is damaged', { timeout: 60_000 }, (kind) => {
  let vault: SmallVault
  beforeAll(async () => {
    vault = await makeSmallVault(kind)
  })

  it('restores everything and has nothing reported while it is whole', async () => {
    const reader = readerOf(vault.objects)
    for (const id of vault.images.keys()) expect(await restoreOutcome(reader, vault, id)).toBe('right')
    for (const id of ['r4', 'r5']) expect(await restoreOutcome(reader, vault, id)).toBe('absent')
    expect(await scrubbedNames(reader)).toEqual([])
  })

  it('has every flipped bit named by a check, and never restored', () =>
    expectNamed(vault, eachFlip(vault, oneIn(5000))))

  it('has every cut named by a check, and never restored', () => expectNamed(vault, eachCut(vault, oneIn(800))))

  it('has every object that is gone named by a check', () => expectNamed(vault, eachLoss(vault)))

  it('has every two objects that changed places named by a check', () => expectNamed(vault, eachSwap(vault, oneIn(24))))
})
