import { BlobServiceClient } from '@azure/storage-blob'
import { describe, it } from 'vitest'
import { createCredential } from '../../shared/azure/credential.ts'
import { connectStorage } from '../../shared/azure/storage-connection.ts'
import { freshContainerName } from '../support/azurite.ts'
import { blobStoreContract } from './blob-store.contract.ts'

/** The same contract on a real account: DELTAVAULT_TEST_BLOB_SERVICE_URI (https://<account>.blob.core.windows.net), as whoever is
 * signed in. It makes a container and removes it. */
const uri = process.env.DELTAVAULT_TEST_BLOB_SERVICE_URI

if (uri === undefined) {
  describe('the blob store on Azure Blob Storage (a real account)', () => {
    it('keeps the same contract', ({ skip }) => skip('set DELTAVAULT_TEST_BLOB_SERVICE_URI to an account of yours'))
  })
} else {
  blobStoreContract('the blob store on Azure Blob Storage (a real account)', async () => {
    const controlContainer = freshContainerName()
    const connection = { kind: 'identity', blobServiceUri: uri, clientId: null } as const
    const stores = connectStorage({ connection, vaultContainer: controlContainer, controlContainer })
    const container = new BlobServiceClient(uri, createCredential(null)).getContainerClient(controlContainer)
    const close = async () => {
      await container.deleteIfExists()
    }
    return { store: { ...stores.vault, ...stores.control }, close }
  })
}
