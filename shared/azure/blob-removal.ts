import type { ContainerClient } from '@azure/storage-blob'
import type { CallOptions } from '../ports/blob-store.ts'
import { isThere } from './blob-reads.ts'
import { isConditionNotMet } from './blob-writes.ts'
import { storageCodeOf, storageStatusOf } from './storage-faults.ts'
import { withTries } from './storage-tries.ts'

/** Gives the object up, with the snapshots that somebody may have made of it; see VaultStore.purge. */
export const purgeBlob = (
  container: ContainerClient,
  name: string,
  etag: string,
  options?: CallOptions,
): Promise<'removed' | 'absent' | 'changed' | 'retained'> =>
  withTries(name, 0, options, async ({ abortSignal }) => {
    try {
      await container.getBlobClient(name).delete({
        abortSignal,
        deleteSnapshots: 'include',
        conditions: { ifMatch: etag },
      })
      return 'removed'
    } catch (error) {
      if (storageStatusOf(error) === 404) return 'absent'
      if (isRetention(error)) return 'retained'
      if (!isConditionNotMet(error)) throw error
      // Where there is no object, its ETag does not match either.
      return (await isThere(container, name, abortSignal)) ? 'changed' : 'absent'
    }
  })

/** Blob service error codes: 409 BlobImmutableDueToPolicy answers for time-based retention and for legal holds, of a blob or of its container;
 * 412 LeaseIdMissing for a blob that somebody holds by a lease. */
const isRetention = (error: unknown): boolean =>
  (storageStatusOf(error) === 409 && /Immutable|LegalHold/.test(storageCodeOf(error))) ||
  storageCodeOf(error) === 'LeaseIdMissing'
