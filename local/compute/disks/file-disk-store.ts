import { rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { grantFor, isLive, sasUrlOf } from './access-grants.ts'
import type { ContentRecord } from './content-record.ts'
import { copyImage } from './copy-image.ts'
import type { DiskContents } from './disk-contents.ts'
import {
  type ContentDescription,
  type ContentId,
  type ContentKind,
  DiskImageError,
  type DiskStore,
} from './disk-store.ts'
import type { ImageLayout } from './image-layout.ts'
import { createImage, growImage, removeImage } from './sparse-image.ts'
import { type DiskStoreOptions, newRecord, openStoreState, type StoreState } from './store-state.ts'
import { createContents, footerPathOf, readFooter, removeCaches, type StoredContents } from './stored-contents.ts'
import { footerFault } from './vhd-footer.ts'

/** Pages of a page blob are 512 bytes, and so are the sectors of a VHD. */
const sectorBytes = 512

export interface FileDiskStore extends DiskStore, DiskContents {
  /** Gives its file handles back. Nothing is lost without it. */
  close(): Promise<void>
}

/** What a caller asked that cannot be done; the message says it in words for people. */
export class DiskStoreError extends Error {
  override readonly name = 'DiskStoreError'
  readonly code: 'notFound' | 'conflict' | 'badSize' | 'notUpload'
  constructor(code: DiskStoreError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** Opens the store of the emulator's disks in a folder. A store that was killed at any moment opens again with every content it had
 * answered for. Creating what is there already with the same meaning gives the one that is there. */
export const createDiskStore = async (options: DiskStoreOptions): Promise<FileDiskStore> => {
  const state = await openStoreState({ ...options, folder: resolve(options.folder) })
  const contents = createContents(state)
  const known = (id: ContentId): ContentRecord => {
    const record = state.find(id)
    if (record === undefined) throw new DiskStoreError('notFound', `There is no disk or snapshot ${id}.`)
    return record
  }
  return {
    ...contents,
    adoptRawImage: (id, imagePath) => state.alone(id, () => adopt(state, id, resolve(imagePath))),
    createEmpty: (id, sizeBytes) => state.alone(id, () => createZeros(state, id, 'disk', sizeBytes)),
    createUpload: (id, sizeBytes) => state.alone(id, () => createZeros(state, id, 'upload', sizeBytes)),
    finishUpload: (id) => state.alone(id, () => finish(state, known(id))),
    snapshot: (diskId, snapshotId) => state.alone(diskId, () => takeSnapshot(state, known(diskId), snapshotId)),
    copy: (sourceId, id, kind, sizeBytes) =>
      state.alone(sourceId, () => copyContent(state, known(sourceId), { id, kind, sizeBytes })),
    resize: (id, sizeBytes) => state.alone(id, () => resize(state, contents, known(id), sizeBytes)),
    async describe(id) {
      const record = state.find(id)
      return record === undefined ? null : describe(record)
    },
    remove: (id) => state.alone(id, () => removeContent(state, contents, state.find(id))),
    grant: (id, access, durationSeconds) =>
      state.alone(id, async () => {
        const record = known(id)
        if (access === 'Write' && record.kind !== 'upload') {
          throw new DiskStoreError(
            'notUpload',
            `Write access is given to disks that await an upload only, not to ${id}.`,
          )
        }
        const grant = grantFor(record.grant, access, durationSeconds, state.now())
        await state.save({ ...record, grant })
        return {
          sasUrl: sasUrlOf(state.publicOrigin(), record, grant, state.key),
          expiresAt: new Date(grant.expiresAt),
        }
      }),
    revoke: (id) =>
      state.alone(id, async () => {
        const record = state.find(id)
        if (record === undefined || record.grant === null) return false
        await state.save({ ...record, grant: null })
        return isLive(record.grant, state.now())
      }),
    async liveGrants(familyId) {
      const now = state.now()
      return [...state.all()]
        .filter((record) => record.familyId === familyId && isLive(record.grant, now))
        .map(({ id }) => id)
    },
  }
}

const describe = (record: ContentRecord): ContentDescription => ({
  id: record.id,
  kind: record.kind,
  sizeBytes: record.image.sizeBytes,
  familyId: record.familyId,
  imagePath: record.image.path,
  sequence: record.sequence,
})

const adopt = async (state: StoreState, id: ContentId, imagePath: string): Promise<ContentDescription> => {
  const { size } = await stat(imagePath)
  checkSize(size, imagePath)
  const existing = state.find(id)
  if (existing === undefined) {
    const image: ImageLayout = { path: imagePath, sizeBytes: size, partBytes: null }
    return describe(await state.save(newRecord(state, { id, kind: 'disk', image, isAdopted: true })))
  }
  if (existing.image.path !== imagePath) throw new DiskStoreError('conflict', `${id} is the disk of another file.`)
  if (size < existing.image.sizeBytes) throw new DiskStoreError('badSize', `${imagePath} has shrunk; disks only grow.`)
  return describe(await state.save({ ...existing, image: { ...existing.image, sizeBytes: size } }))
}

const createZeros = async (
  state: StoreState,
  id: ContentId,
  kind: 'disk' | 'upload',
  sizeBytes: number,
): Promise<ContentDescription> => {
  checkSize(sizeBytes, id)
  const existing = existingOf(state, id, kind, sizeBytes)
  if (existing !== null) return existing
  return withNewImage(state, { id, kind, sizeBytes, source: null }, async (image) => {
    await removeImage(image)
    await createImage(image)
    return describe(await state.save(newRecord(state, { id, kind, image })))
  })
}

const finish: (state: StoreState, record: ContentRecord) => ReturnType<DiskStore['finishUpload']> = async (
  state,
  record,
) => {
  if (record.kind === 'disk') return { kind: 'ok' }
  if (record.kind === 'snapshot') throw new DiskStoreError('notUpload', `${record.id} is not an upload.`)
  const message = footerFault(await readFooter(state, record), record.image.sizeBytes)
  if (message !== null) return { kind: 'badFooter', message }
  await state.save({ ...record, kind: 'disk', grant: null })
  await rm(footerPathOf(state, record.uniqueId), { force: true })
  return { kind: 'ok' }
}

const takeSnapshot = async (state: StoreState, disk: ContentRecord, id: ContentId): Promise<ContentDescription> => {
  const existing = state.find(id)
  if (existing !== undefined) {
    if (existing.kind === 'snapshot' && existing.familyId === disk.familyId) return describe(existing)
    throw new DiskStoreError('conflict', `${id} exists and is not a snapshot of ${disk.id}.`)
  }
  await requireUnchangedLength(disk)
  // The number is spent before the copy, so that no two snapshots of a family ever share one.
  const counted = await state.save({ ...disk, sequence: disk.sequence + 1 })
  const { familyId, sequence } = counted
  const { sizeBytes } = disk.image
  return withNewImage(state, { id, kind: 'snapshot', sizeBytes, source: disk.image }, async (image) => {
    await copyImage(disk.image, image, state.finder)
    return describe(await state.save(newRecord(state, { id, kind: 'snapshot', image, familyId, sequence })))
  })
}

/** A disk changes its size when Azure is asked to, never by itself; a copy of less or more than the disk would be restored without a word. */
const requireUnchangedLength = async ({ isAdopted, image }: ContentRecord): Promise<void> => {
  if (!isAdopted) return
  const found = await stat(image.path).catch(() => null)
  if (found === null) throw new DiskImageError(`The image ${image.path} is gone. Put it back, then try again.`)
  if (found.size === image.sizeBytes) return
  throw new DiskImageError(
    `The image ${image.path} has ${found.size} bytes, and its disk ${image.sizeBytes}. Give it its length back, or start the emulator again: an image that has grown is then a larger disk.`,
  )
}

const copyContent = async (
  state: StoreState,
  source: ContentRecord,
  request: { readonly id: ContentId; readonly kind: ContentKind; readonly sizeBytes: number },
): Promise<ContentDescription> => {
  const { id, kind, sizeBytes } = request
  checkSize(sizeBytes, id)
  if (kind === 'upload') throw new DiskStoreError('notUpload', 'An upload starts empty; it is no copy.')
  if (sizeBytes < source.image.sizeBytes)
    throw new DiskStoreError('badSize', `A copy of ${source.id} cannot be smaller than it.`)
  if (kind === 'snapshot' && source.kind !== 'snapshot') return takeSnapshot(state, source, id)
  const existing = existingOf(state, id, kind, sizeBytes)
  if (existing !== null) return existing
  // A copied snapshot stays comparable with its family; a disk made from it begins its own.
  const lineage = kind === 'snapshot' ? { familyId: source.familyId, sequence: source.sequence } : {}
  return withNewImage(state, { id, kind, sizeBytes, source: source.image }, async (image) => {
    await copyImage(source.image, image, state.finder)
    return describe(await state.save(newRecord(state, { id, kind, image, ...lineage })))
  })
}

const resize = async (
  state: StoreState,
  contents: StoredContents,
  record: ContentRecord,
  sizeBytes: number,
): Promise<void> => {
  checkSize(sizeBytes, record.id)
  if (record.kind === 'snapshot') throw new DiskStoreError('conflict', `${record.id} is a snapshot and never changes.`)
  if (sizeBytes < record.image.sizeBytes) throw new DiskStoreError('badSize', `${record.id} cannot shrink.`)
  if (sizeBytes === record.image.sizeBytes) return
  await contents.release(record.uniqueId)
  // An adopted file stays the one file that its owner knows.
  const fileBytesMax = record.isAdopted ? Number.POSITIVE_INFINITY : state.fileBytesMax
  await state.save({ ...record, image: await growImage(record.image, sizeBytes, fileBytesMax) })
}

const removeContent = async (
  state: StoreState,
  contents: StoredContents,
  record: ContentRecord | undefined,
): Promise<void> => {
  if (record === undefined) return
  await state.forget(record)
  await contents.release(record.uniqueId)
  if (!record.isAdopted) await removeImage(record.image)
  await removeCaches(state, record.uniqueId)
}

const existingOf = (
  state: StoreState,
  id: ContentId,
  kind: ContentKind,
  sizeBytes: number,
): ContentDescription | null => {
  const existing = state.find(id)
  if (existing === undefined) return null
  if (existing.kind === kind && existing.image.sizeBytes === sizeBytes) return describe(existing)
  throw new DiskStoreError('conflict', `${id} exists and is something else.`)
}

interface NewImage {
  readonly id: ContentId
  readonly kind: ContentKind
  readonly sizeBytes: number
  readonly source: ImageLayout | null
}

/** Copies keep the way their source is cut into files, so that each file is copied whole. */
const withNewImage = <T>(state: StoreState, wanted: NewImage, task: (image: ImageLayout) => Promise<T>): Promise<T> => {
  const { id, kind, sizeBytes, source } = wanted
  const isLargeFile = source !== null && source.partBytes === null && source.sizeBytes > state.fileBytesMax
  const partBytes = source?.partBytes ?? (sizeBytes > state.fileBytesMax && !isLargeFile ? state.fileBytesMax : null)
  const folder = kind === 'snapshot' ? 'snapshots' : 'disks'
  return state.withImagePath(id, folder, partBytes !== null, (path) => task({ path, sizeBytes, partBytes }))
}

const checkSize = (sizeBytes: number, what: string): void => {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % sectorBytes !== 0) {
    throw new DiskStoreError(
      'badSize',
      `The size of ${what} must be a positive multiple of ${sectorBytes} bytes, not ${sizeBytes}.`,
    )
  }
}
