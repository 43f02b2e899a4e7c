import { BlobServiceClient, type StoragePipelineOptions } from '@azure/storage-blob'
import type { StorageConnection, StorageSettings } from '../config.ts'
import type { BlobCreator, ControlStore } from '../ports/blob-store.ts'
import { createAzureBlobStore } from './azure-blob-store.ts'
import { createCredential } from './credential.ts'

/** The two stores of the app. Makes no request; a container that is missing is made by the first write to it. */
export const connectStorage = (
  settings: StorageSettings,
): { readonly vault: BlobCreator; readonly control: ControlStore } => {
  const service = serviceOf(settings.connection)
  return {
    vault: createAzureBlobStore(service.getContainerClient(settings.vaultContainer)),
    control: createAzureBlobStore(service.getContainerClient(settings.controlContainer)),
  }
}

/** One try each: repeating is the store's own work, which limits the time of each try and sees the caller's abort. */
const pipelineOptions: StoragePipelineOptions = { retryOptions: { maxTries: 1 } }

const serviceOf = (connection: StorageConnection): BlobServiceClient =>
  connection.kind === 'connectionString'
    ? BlobServiceClient.fromConnectionString(connection.connectionString, pipelineOptions)
    : new BlobServiceClient(connection.blobServiceUri, createCredential(connection.clientId), pipelineOptions)
