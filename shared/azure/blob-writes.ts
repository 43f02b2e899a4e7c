import type { ContainerClient } from '@azure/storage-blob'
import type { CallOptions } from '../ports/blob-store.ts'
import { isThere } from './blob-reads.ts'
import { bodyOf, lengthOf } from './block-bodies.ts'
import { storageCodeOf, storageStatusOf } from './storage-faults.ts'
import { withTries } from './storage-tries.ts'

/** Writes whatever was there before; see ControlStore.put. */
export const putWhole = async (
  container: ContainerClient,
  name: string,
  body: Uint8Array,
  options?: CallOptions,
): Promise<void> => {
  await upload(container, name, [body], {}, options)
}

/** @returns the new ETag, or null where a condition did not hold */
const upload = (
  container: ContainerClient,
  name: string,
  parts: readonly Uint8Array[],
  conditions: { readonly ifMatch?: string },
  options?: CallOptions,
): Promise<string | null> => {
  const lengthBytes = lengthOf(parts)
  return withTries(name, lengthBytes, options, async ({ abortSignal }) => {
    const send = () =>
      container.getBlockBlobClient(name).upload(bodyOf(parts), lengthBytes, { abortSignal, conditions })
    try {
      return (await withContainer(container, abortSignal, send)).etag ?? ''
    } catch (error) {
      if (isConditionNotMet(error)) return null
      throw error
    }
  })
}

/** Runs a write, and once more after making the container where that was missing. */
export const withContainer = async <T>(
  container: ContainerClient,
  abortSignal: AbortSignal,
  write: () => Promise<T>,
): Promise<T> => {
  try {
    return await write()
  } catch (error) {
    if (storageCodeOf(error) !== 'ContainerNotFound') throw error
    await container.createIfNotExists({ abortSignal })
    return write()
  }
}

/** 409 BlobAlreadyExists answers If-None-Match: *, 412 ConditionNotMet an ETag (Blob service error codes). */
export const isConditionNotMet = (error: unknown): boolean =>
  storageStatusOf(error) === 412 || storageCodeOf(error) === 'BlobAlreadyExists'

/** Replaces the object if its ETag is still the given one; see ControlStore.replace. */
export const replaceIfUnchanged = async (
  container: ContainerClient,
  name: string,
  body: Uint8Array,
  etag: string,
  options?: CallOptions,
): Promise<{ readonly kind: 'replaced'; readonly etag: string } | { readonly kind: 'changed' }> => {
  const written = await upload(container, name, [body], { ifMatch: etag }, options)
  return written === null ? { kind: 'changed' } : { kind: 'replaced', etag: written }
}

/** Removes the object; see ControlStore.remove. */
export const removeIfUnchanged = (
  container: ContainerClient,
  name: string,
  etag: string | undefined,
  options?: CallOptions,
): Promise<'removed' | 'absent' | 'changed'> =>
  withTries(name, 0, options, async ({ abortSignal }) => {
    try {
      const conditions = etag === undefined ? {} : { conditions: { ifMatch: etag } }
      await container.getBlobClient(name).delete({ abortSignal, ...conditions })
      return 'removed'
    } catch (error) {
      if (storageStatusOf(error) === 404) return 'absent'
      if (!isConditionNotMet(error)) throw error
      // Where there is no object, its ETag does not match either.
      return (await isThere(container, name, abortSignal)) ? 'changed' : 'absent'
    }
  })
