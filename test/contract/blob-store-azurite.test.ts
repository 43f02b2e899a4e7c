import { BlobServiceClient } from '@azure/storage-blob'
import { createAzureBlobStore } from '../../shared/azure/azure-blob-store.ts'
import { freshContainerName, startTestAzurite } from '../support/azurite.ts'
import { blobStoreContract } from './blob-store.contract.ts'

blobStoreContract('the blob store on Azure Blob Storage (Azurite)', async () => {
  const azurite = await startTestAzurite()
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString)
  return { store: createAzureBlobStore(service.getContainerClient(freshContainerName())), close: azurite.stop }
})
