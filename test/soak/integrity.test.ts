import { describe, expect, it } from 'vitest'
import { createDamageJudge, type Damage, eachCut, eachFlip, eachLoss, eachSwap } from '../support/damages.ts'
import { makeSmallVault, readByRestores, type SmallVault, smallKinds } from '../support/small-vault.ts'

/** Every damage of the smallest vaults. INTEGRITY_PART=<n>/<of> takes one of several parts, for several processes. */
const [part = 0, parts = 1] = (process.env.INTEGRITY_PART ?? '0/1').split('/').map(Number)

const expectAllNamed = async (
  vault: SmallVault,
  kind: string,
  damages: (isTaken: () => boolean) => Iterable<Damage>,
) => {
  const judge = createDamageJudge(vault, await readByRestores(vault))
  let number = 0
  let cases = 0
  const isTaken = (): boolean => number++ % parts === part
  for (const damage of damages(isTaken)) {
    const faults = await judge(damage)
    if (faults.length > 0) expect.fail(`${vault.kind} ${damage.what}: ${faults.join(', ')}`)
    cases += 1
  }
  console.log(`${vault.kind}: ${cases} ${kind}`)
  expect(cases).toBeGreaterThan(0)
}

describe.each(smallKinds)('a vault (%s)', (kind) => {
  it('has every flipped bit of every object named', async () => {
    const vault = await makeSmallVault(kind)
    await expectAllNamed(vault, 'flipped bits', (isTaken) => eachFlip(vault, isTaken))
  })

  it('has every cut of every object named', async () => {
    const vault = await makeSmallVault(kind)
    await expectAllNamed(vault, 'cuts', (isTaken) => eachCut(vault, isTaken))
  })

  it('has every lost object and every two that changed places named', async () => {
    const vault = await makeSmallVault(kind)
    await expectAllNamed(vault, 'lost objects', () => eachLoss(vault))
    await expectAllNamed(vault, 'exchanges', (isTaken) => eachSwap(vault, isTaken))
  })
})
