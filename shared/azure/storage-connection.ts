import { BlobServiceClient, type StoragePipelineOptions } from '@azure/storage-blob'
import type { StorageConnection, StorageSettings } from '../config.ts'
import type { ControlStore, VaultStore } from '../ports/blob-store.ts'
import { createAzureBlobStore } from './azure-blob-store.ts'
import { createCredential } from './credential.ts'
import { createObjectStore } from './object-store.ts'
import { storageAccountOf, type TokenSource } from './storage-account.ts'
import { storageTokens } from './storage-tokens.ts'

/** The two stores of the app. Makes no request; a container that is missing is made by the first write to it. */
export const connectStorage = (
  settings: StorageSettings,
): {
  readonly vault: VaultStore
  readonly control: ControlStore
  /** For threads, which know no identity; rejects where the connection names none. */
  readonly tokens: TokenSource
} => {
  const { service, tokens } = serviceOf(settings.connection)
  const account = storageAccountOf(settings.connection, tokens)
  const storeOf = (container: string): ControlStore & VaultStore =>
    createAzureBlobStore(
      service.getContainerClient(container),
      createObjectStore(account, container, undefined, settings.segmentTier),
    )
  return { vault: storeOf(settings.vaultContainer), control: storeOf(settings.controlContainer), tokens }
}

/** One try each: repeating is the store's own work, which limits the time of each try and sees the caller's abort. */
const pipelineOptions: StoragePipelineOptions = { retryOptions: { maxTries: 1 } }

/** The SDK's client for an account, and tokens for what does without it. Makes no request. */
export const serviceOf = (
  connection: StorageConnection,
): { readonly service: BlobServiceClient; readonly tokens: TokenSource } => {
  if (connection.kind === 'connectionString') {
    const service = BlobServiceClient.fromConnectionString(connection.connectionString, pipelineOptions)
    return { service, tokens: () => Promise.reject(new Error('A connection string needs no token.')) }
  }
  const credential = createCredential(connection.clientId)
  const service = new BlobServiceClient(connection.blobServiceUri, credential, pipelineOptions)
  return { service, tokens: storageTokens(credential) }
}
