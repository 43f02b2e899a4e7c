import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { freshContainerName, startTestAzurite } from '../support/azurite.ts'
import { blobStoreContract } from './blob-store.contract.ts'

blobStoreContract('the blob store on Azure Blob Storage (Azurite)', async () => {
  const azurite = await startTestAzurite()
  const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
  const { control } = connectStorage({ connection, vaultContainer: 'vault', controlContainer: freshContainerName() })
  return { store: control, close: azurite.stop }
})
