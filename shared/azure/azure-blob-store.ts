import type { ContainerClient } from '@azure/storage-blob'
import type { ControlStore, ObjectCreator, VaultStore } from '../ports/blob-store.ts'
import { listNames } from './blob-reads.ts'
import { purgeBlob } from './blob-removal.ts'
import { putWhole, removeIfUnchanged, replaceIfUnchanged } from './blob-writes.ts'
import { createFromBlocks } from './staged-blocks.ts'

/** One container of Azure Blob Storage as the object store; every object is a block blob. Where the container is missing, reads
 * find nothing and the first write makes it. A `replace` or `remove` with an ETag whose answer was lost is repeated and then
 * answers `changed` (or `absent`) although it took effect: read the object to tell.
 * @param objects the same container by plain HTTP, for what moves many bytes */
export const createAzureBlobStore = (
  container: ContainerClient,
  objects: ObjectCreator,
): ControlStore & VaultStore => ({
  ...objects,
  list: (prefix, options) => listNames(container, prefix, options),
  createFromStream: (name, parts, options) => createFromBlocks(container, objects, name, parts, options),
  replace: (name, body, etag, options) => replaceIfUnchanged(container, name, body, etag, options),
  put: (name, body, options) => putWhole(container, name, body, options),
  remove: (name, etag, options) => removeIfUnchanged(container, name, etag, options),
  purge: (name, etag, options) => purgeBlob(container, name, etag, options),
})
