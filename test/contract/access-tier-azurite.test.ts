import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Azurite } from '../../local/azurite.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { freshContainerName, startTestAzurite } from '../support/azurite.ts'

let azurite: Azurite
beforeAll(async () => {
  azurite = await startTestAzurite()
})
afterAll(async () => azurite.stop())

/** Azurite does not know the tier Cold, nor what leaving a tier early costs: that is modelled in memory. */
it.each(['Cool', 'Hot'] as const)(
  'segments go to the tier that is set, %s, and listings tell it; the rest stays where the account puts it',
  async (segmentTier) => {
    const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
    const container = freshContainerName()
    const { vault } = connectStorage({
      connection,
      vaultContainer: container,
      controlContainer: 'control',
      segmentTier,
    })
    for (const name of ['segments/r1/os/000000.0001-00000', 'layers/r1/os'])
      await vault.create(name, [Buffer.from('x')])
    const tiers = new Map<string, string | undefined>()
    for await (const { name, tier } of vault.list('')) tiers.set(name, tier)
    expect(tiers).toEqual(
      new Map([
        ['layers/r1/os', 'Hot'],
        ['segments/r1/os/000000.0001-00000', segmentTier],
      ]),
    )
  },
)
