import type { ContainerClient } from '@azure/storage-blob'
import type { AccessTier, BlobEntry, CallOptions } from '../ports/blob-store.ts'
import { storageStatusOf } from './storage-faults.ts'
import { withTries } from './storage-tries.ts'

/** List Blobs gives at most 5,000 names a page. */
const pageNamesMax = 5000

/** One request, without tries of its own. */
export const isThere = async (container: ContainerClient, name: string, abortSignal: AbortSignal): Promise<boolean> =>
  (await container.getBlobClient(name).getProperties({ abortSignal }).catch(absentAsNull)) !== null

/** 404 means both `no such object` and `no such container`. */
const absentAsNull = (error: unknown): null => {
  if (storageStatusOf(error) === 404) return null
  throw error
}

/** Names below a prefix, one page of 5,000 in memory at a time; see BlobReader.list. */
export async function* listNames(
  container: ContainerClient,
  prefix: string,
  options?: CallOptions,
): AsyncGenerator<BlobEntry> {
  let marker: string | undefined
  do {
    const from = marker === undefined ? {} : { continuationToken: marker }
    const page = await withTries(`${prefix}*`, 0, options, async ({ abortSignal }) => {
      const pages = container.listBlobsFlat({ prefix, abortSignal }).byPage({ ...from, maxPageSize: pageNamesMax })
      const next = await pages.next().catch(absentAsNull)
      return next?.done ? null : (next?.value ?? null)
    })
    for (const { name, properties } of page?.segment.blobItems ?? [])
      yield { name, lengthBytes: properties.contentLength ?? 0, etag: quoted(properties.etag), ...ageOf(properties) }
    marker = page?.continuationToken || undefined
  } while (marker !== undefined)
}

/** Archived objects are never made here; one that somebody archived counts as the tier with the longest minimum. */
const ageOf = ({ createdOn, accessTier }: { createdOn?: Date; accessTier?: string }) => ({
  ...(createdOn === undefined ? {} : { createdAt: createdOn }),
  ...(accessTier === undefined ? {} : { tier: tierOf(accessTier) }),
})

const tierOf = (name: string): AccessTier => (name === 'Hot' || name === 'Cool' ? name : 'Cold')

/** Listings give ETags without the quotes that conditions want (List Blobs). */
const quoted = (etag: string): string => (etag.startsWith('"') ? etag : `"${etag}"`)
