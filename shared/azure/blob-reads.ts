import type { BlobClient, ContainerClient } from '@azure/storage-blob'
import {
  type BlobContent,
  type BlobEntry,
  type CallOptions,
  type ReadOptions,
  StorageError,
} from '../ports/blob-store.ts'
import { storageStatusOf } from './storage-faults.ts'
import { withTries } from './storage-tries.ts'

const readBytesMax = 64 * 1024 * 1024
/** List Blobs gives at most 5,000 names a page. */
const pageNamesMax = 5000

/** The whole object with its ETag, or null; see BlobReader.read. */
export const readWhole = (
  container: ContainerClient,
  name: string,
  options?: ReadOptions,
): Promise<BlobContent | null> =>
  withTries(name, 0, options, async ({ abortSignal, allowFor }) => {
    const answer = await container.getBlobClient(name).download(0, undefined, { abortSignal }).catch(absentAsNull)
    if (answer === null) return null
    const lengthBytes = answer.contentLength ?? 0
    if (lengthBytes > (options?.lengthBytesMax ?? readBytesMax)) {
      discard(answer.readableStreamBody)
      throw new StorageError({ code: 'too-large', name })
    }
    allowFor(lengthBytes)
    return { bytes: await collect(answer.readableStreamBody, lengthBytes), etag: answer.etag ?? '' }
  })

/** Exactly the bytes asked for, or null; see BlobReader.readRange. */
export const readPart = (
  container: ContainerClient,
  name: string,
  offsetBytes: number,
  lengthBytes: number,
  options?: CallOptions,
): Promise<Uint8Array | null> =>
  withTries(name, lengthBytes, options, async ({ abortSignal }) => {
    const blob = container.getBlobClient(name)
    if (lengthBytes === 0) return emptyPart(blob, name, offsetBytes, abortSignal)
    const answer = await blob.download(offsetBytes, lengthBytes, { abortSignal }).catch((error: unknown) => {
      if (storageStatusOf(error) === 416) throw new StorageError({ code: 'short-object', name })
      return absentAsNull(error)
    })
    if (answer === null) return null
    if (answer.contentLength !== lengthBytes) {
      discard(answer.readableStreamBody)
      throw new StorageError({ code: 'short-object', name })
    }
    return collect(answer.readableStreamBody, lengthBytes)
  })

/** HTTP has no range of no bytes, so the object's length is asked for instead. */
const emptyPart = async (
  blob: BlobClient,
  name: string,
  offsetBytes: number,
  abortSignal: AbortSignal,
): Promise<Uint8Array | null> => {
  const properties = await blob.getProperties({ abortSignal }).catch(absentAsNull)
  if (properties === null) return null
  if (offsetBytes > (properties.contentLength ?? 0)) throw new StorageError({ code: 'short-object', name })
  return new Uint8Array(0)
}

/** One request, without tries of its own. */
export const isThere = async (container: ContainerClient, name: string, abortSignal: AbortSignal): Promise<boolean> =>
  (await container.getBlobClient(name).getProperties({ abortSignal }).catch(absentAsNull)) !== null

/** 404 means both `no such object` and `no such container`. */
const absentAsNull = (error: unknown): null => {
  if (storageStatusOf(error) === 404) return null
  throw error
}

/** The body must be consumed or destroyed, else its socket is lost to the pool. */
const discard = (body: NodeJS.ReadableStream | undefined): void => {
  body?.on('error', () => undefined)
  ;(body as { destroy?: () => void } | undefined)?.destroy?.()
}

const collect = async (body: NodeJS.ReadableStream | undefined, lengthBytes: number): Promise<Uint8Array> => {
  const target = new Uint8Array(lengthBytes)
  let filled = 0
  for await (const chunk of body ?? []) {
    const bytes = chunk as Uint8Array
    if (filled + bytes.byteLength > lengthBytes) throw new Error('more bytes came than were announced')
    target.set(bytes, filled)
    filled += bytes.byteLength
  }
  // A connection that ends early is a fault of the try, not of the object.
  if (filled !== lengthBytes) throw new Error('the answer ended early')
  return target
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
      yield { name, lengthBytes: properties.contentLength ?? 0 }
    marker = page?.continuationToken || undefined
  } while (marker !== undefined)
}
