import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { hasDataKeys } from '../../../../local/demo/has-data-keys.ts'
import { connectStorage } from '../../../../shared/azure/storage-connection.ts'
import { dataKeyName } from '../../../../shared/format/names.ts'
import { startTestAzurite } from '../../../support/azurite.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-vault-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** What a start that has ended leaves in its data folder. */
const leave = async (name: string): Promise<void> => {
  await using azurite = await startTestAzurite(join(folder, 'azurite'))
  const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
  const { vault } = connectStorage({ connection, vaultContainer: 'vault', controlContainer: 'control' })
  await vault.create(name, [Buffer.from('{}')])
}

it('a data folder that was never used has no data keys', async () => {
  expect(await hasDataKeys(folder)).toBe(false)
})

it('a vault with other objects alone has none, one with a data key has', async () => {
  await leave('layers/point/os')
  expect(await hasDataKeys(folder)).toBe(false)
  await leave(dataKeyName('ab'.repeat(16), 1))
  expect(await hasDataKeys(folder)).toBe(true)
}, 60_000)

it('a storage without the container of the vault has none', async () => {
  await using azurite = await startTestAzurite(join(folder, 'azurite'))
  await azurite.stop()
  expect(await hasDataKeys(folder)).toBe(false)
}, 60_000)
