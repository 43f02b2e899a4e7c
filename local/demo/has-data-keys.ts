import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { listDataKeys } from '../../shared/vault/stored-keys.ts'
import { startAzurite } from '../azurite.ts'

/** Whether the vault of a data folder that nobody uses holds data keys. Its storage is started for the answer, and stopped. */
export const hasDataKeys = async (dataFolder: string): Promise<boolean> => {
  const folder = join(dataFolder, 'azurite')
  const isThere = await access(folder).then(
    () => true,
    () => false,
  )
  if (!isThere) return false
  await using azurite = await startAzurite({ folder })
  const { vault } = connectStorage({
    connection: { kind: 'connectionString', connectionString: azurite.connectionString },
    vaultContainer: 'vault',
    controlContainer: 'control',
  })
  return (await listDataKeys(vault)).length > 0
}
