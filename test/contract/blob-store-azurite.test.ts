import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { freshContainerName, startTestAzurite } from '../support/azurite.ts'
import { blobStoreContract } from './blob-store.contract.ts'

blobStoreContract('the blob store on Azure Blob Storage (Azurite)', async () => {
  const azurite = await startTestAzurite()
  const connection = { kind: 'connectionString', connectionString: azurite.connectionString } as const
  const container = freshContainerName()
  const stores = connectStorage({ connection, vaultContainer: container, controlContainer: container })
  return { store: { ...stores.vault, ...stores.control }, close: azurite.stop }
})
