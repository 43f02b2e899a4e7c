import { createMemoryBlobStore } from '../support/memory-blob-store.ts'
import { blobStoreContract } from './blob-store.contract.ts'

blobStoreContract('the blob store in memory', async () => ({
  store: createMemoryBlobStore(),
  close: async () => undefined,
}))
