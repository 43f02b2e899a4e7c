import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChangedRange, Extent } from '../../../shared/domain/extent.ts'
import { contentOfPath, isLive, isSignedBy } from './access-grants.ts'
import { type ContentRecord, writeWhole } from './content-record.ts'
import type { AuthorizedContent, ChangedListing, DiskContents, ListWindow, RangeListing } from './disk-contents.ts'
import { createImageCache } from './image-cache.ts'
import { diffImages } from './image-diff.ts'
import { partsOf } from './image-layout.ts'
import { rangeFileExists, readRangeFile, readRangePage, writeRangeFile } from './range-file.ts'
import { openImage } from './sparse-image.ts'
import type { StoreState } from './store-state.ts'
import { footerBytes, makeFooter } from './vhd-footer.ts'

/** Managed disks cannot be compared across this size: the documentation of incremental snapshots calls it the 4-TB boundary. */
const diffBoundaryBytes = 4 * 2 ** 40
/** File times are no finer than a timer tick of the kernel; younger changes are never taken for the last. */
const settledAfterMs = 1000

export interface StoredContents extends DiskContents {
  /** Closes what is open of one content, before it is moved or removed. */
  release(uniqueId: string): Promise<void>
  close(): Promise<void>
}

/** The byte side of the store: what the data plane may do with a content whose URL is good. */
export const createContents = (state: StoreState): StoredContents => {
  const images = createImageCache()
  const writes = new Map<string, number>()
  const listed = new Map<string, { readonly etag: string; readonly isSettled: boolean }>()
  const recordOf = (content: AuthorizedContent): ContentRecord => {
    const record = state.findUnique(content.uniqueId)
    if (record === undefined) throw new ContentGoneError()
    return record
  }
  const version = async (record: ContentRecord) => versionOf(state, record, writes.get(record.uniqueId) ?? 0)

  /** The file of allocated ranges: once for a snapshot, again for a disk that has changed since. */
  const allocatedOf = (record: ContentRecord): Promise<string> =>
    state.alone(`allocated ${record.uniqueId}`, async () => {
      const path = join(state.rangesFolder, `${record.uniqueId}.ranges`)
      const now = await version(record)
      const last = listed.get(record.uniqueId)
      const isFresh = record.kind === 'snapshot' || (last?.etag === now.etag && last.isSettled)
      if (isFresh && (await rangeFileExists(path))) return path
      await writeRangeFile(path, asData(state.finder.find(record.image)))
      const isSettled = Date.now() - now.lastModified.getTime() > settledAfterMs
      listed.set(record.uniqueId, { etag: now.etag, isSettled })
      return path
    })

  const changedOf = (record: ContentRecord, base: ContentRecord): Promise<string> =>
    state.alone(`changed ${record.uniqueId}`, async () => {
      const path = join(state.rangesFolder, `${record.uniqueId}-${base.uniqueId}.diff`)
      if (!(await rangeFileExists(path))) await writeDiff(state, path, await sideOf(base), await sideOf(record))
      return path
    })

  const sideOf = async (record: ContentRecord) => ({ record, rangesPath: await allocatedOf(record) })

  return {
    async authorize(url) {
      const record = state.findUnique(contentOfPath(url.pathname) ?? '')
      if (record === undefined || !isLive(record.grant, state.now())) return null
      if (!isSignedBy(url.searchParams, record, record.grant, state.key)) return null
      const { uniqueId, kind, image, createdAt, grant } = record
      return { uniqueId, kind, access: grant.access, sizeBytes: image.sizeBytes, createdAt: new Date(createdAt) }
    },
    async read(content, target, offsetBytes) {
      const record = recordOf(content)
      const dataBytes = Math.max(0, Math.min(target.byteLength, record.image.sizeBytes - offsetBytes))
      if (dataBytes > 0) await images.use(record, (image) => image.read(target.subarray(0, dataBytes), offsetBytes))
      if (dataBytes < target.byteLength) {
        const from = offsetBytes + dataBytes - record.image.sizeBytes
        target.set((await readFooter(state, record)).subarray(from, from + target.byteLength - dataBytes), dataBytes)
      }
    },
    async write(content, bytes, offsetBytes) {
      const record = recordOf(content)
      const dataBytes = Math.max(0, Math.min(bytes.byteLength, record.image.sizeBytes - offsetBytes))
      if (dataBytes > 0) await images.use(record, (image) => image.write(bytes.subarray(0, dataBytes), offsetBytes))
      if (dataBytes < bytes.byteLength) await writeFooterOf(state, record, bytes.subarray(dataBytes))
      writes.set(record.uniqueId, (writes.get(record.uniqueId) ?? 0) + 1)
    },
    async clear(content, offsetBytes, lengthBytes) {
      const record = recordOf(content)
      const dataBytes = Math.max(0, Math.min(lengthBytes, record.image.sizeBytes - offsetBytes))
      if (dataBytes > 0) await images.use(record, (image) => image.clear(offsetBytes, dataBytes))
      if (dataBytes < lengthBytes) await writeFooterOf(state, record, new Uint8Array(footerBytes))
      writes.set(record.uniqueId, (writes.get(record.uniqueId) ?? 0) + 1)
    },
    listAllocated: async (content, window) => listing(await allocatedOf(recordOf(content)), window),
    async listChanged(content, base, window): Promise<ChangedListing> {
      const [newer, older] = [recordOf(content), recordOf(base)]
      const reason = refusalOf(newer, older)
      return reason === null ? listing(await changedOf(newer, older), window) : { kind: 'refused', reason }
    },
    version: (content) => version(recordOf(content)),
    async release(uniqueId) {
      listed.delete(uniqueId)
      await images.drop(uniqueId)
    },
    close: () => images.close(),
  }
}

/** The content was removed while a request was at work on it. */
export class ContentGoneError extends Error {
  override readonly name = 'ContentGoneError'
}

/** Footers of uploads lie beside the image, as they were sent; those of other contents are made when asked for. */
export const readFooter = async (state: StoreState, record: ContentRecord): Promise<Buffer> =>
  record.kind === 'upload'
    ? await readFile(footerPathOf(state, record.uniqueId)).catch(() => Buffer.alloc(footerBytes))
    : makeFooter(record.image.sizeBytes, new Date(record.createdAt), record.uniqueId)

/** Where the footer of an upload lies. */
export const footerPathOf = (state: StoreState, uniqueId: string): string =>
  join(state.rangesFolder, `${uniqueId}.footer`)

/** Removes what was computed from a content: its ranges and all diffs with it. */
export const removeCaches = async (state: StoreState, uniqueId: string): Promise<void> => {
  for (const name of await readdir(state.rangesFolder)) {
    if (name.includes(uniqueId)) await rm(join(state.rangesFolder, name), { force: true })
  }
}

const writeFooterOf = (state: StoreState, record: ContentRecord, bytes: Uint8Array): Promise<void> =>
  state.alone(`footer ${record.uniqueId}`, () => writeWhole(footerPathOf(state, record.uniqueId), bytes))

const refusalOf = (newer: ContentRecord, older: ContentRecord) => {
  if (newer.kind !== 'snapshot' || older.kind !== 'snapshot') return 'notSnapshots' as const
  if (newer.familyId !== older.familyId) return 'differentFamily' as const
  if (older.sequence > newer.sequence) return 'baseIsNewer' as const
  const isAcross = older.image.sizeBytes <= diffBoundaryBytes && newer.image.sizeBytes > diffBoundaryBytes
  return isAcross ? ('acrossResize' as const) : null
}

interface RecordedSide {
  readonly record: ContentRecord
  readonly rangesPath: string
}

const writeDiff = async (state: StoreState, path: string, base: RecordedSide, target: RecordedSide): Promise<void> => {
  const [before, after] = [openImage(base.record.image, 'r'), openImage(target.record.image, 'r')]
  try {
    const changes = diffImages(
      { image: before, sizeBytes: base.record.image.sizeBytes, extents: readRangeFile(base.rangesPath) },
      { image: after, sizeBytes: target.record.image.sizeBytes, extents: readRangeFile(target.rangesPath) },
      state.diffGranularityBytes,
    )
    await writeRangeFile(path, changes)
  } finally {
    await Promise.all([before.close(), after.close()])
  }
}

const listing = async (path: string, window: ListWindow): Promise<RangeListing> => {
  const page = await readRangePage(path, window, window.countMax)
  return { kind: 'listed', ...page }
}

async function* asData(extents: AsyncIterable<Extent>): AsyncGenerator<ChangedRange> {
  for await (const extent of extents) yield { kind: 'data', ...extent }
}

/** A snapshot never changes; a disk's version follows its files and the writes that came over the data plane. */
const versionOf = async (state: StoreState, record: ContentRecord, writeCount: number) => {
  const created = new Date(record.createdAt)
  if (record.kind === 'snapshot') return { etag: etagOf(record.uniqueId), lastModified: created }
  const paths = [...partsOf(record.image).map((part) => part.path), footerPathOf(state, record.uniqueId)]
  const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true }).catch(() => null)))
  const lastMs = Math.max(...stats.map((found) => Number((found?.mtimeNs ?? 0n) / 1_000_000n)))
  const marks = stats.map((found) => `${found?.size} ${found?.mtimeNs} ${found?.ctimeNs}`)
  const lastModified = new Date(Math.max(created.getTime(), lastMs))
  return { etag: etagOf(`${record.uniqueId} ${marks} ${writeCount}`), lastModified }
}

const etagOf = (text: string): string =>
  `"0x8D${createHash('sha256').update(text).digest('hex').slice(0, 13).toUpperCase()}"`
