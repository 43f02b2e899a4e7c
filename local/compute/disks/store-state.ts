import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openSigningKey } from './access-grants.ts'
import { createExtentFinder, type ExtentFinder, pageBytes } from './allocated-extents.ts'
import { type ContentRecord, nameHash, openRecordFolder } from './content-record.ts'
import type { ContentId } from './disk-store.ts'
import type { ImageLayout } from './image-layout.ts'

/** ext4 ends a file at 16 TiB with 4 KiB blocks; half of that leaves room on every file system in use. */
const fileBytesMaxDefault = 8 * 2 ** 40

export interface DiskStoreOptions {
  /** Everything the store keeps lies below; made if missing. One process at a time. */
  readonly folder: string
  /** Origin of the data plane for SAS URLs; a function where the port is known only later. */
  readonly publicOrigin: string | (() => string)
  readonly now?: () => Date
  /** Images above this size are split over several files. A multiple of 4096. */
  readonly fileBytesMax?: number
  /** Diffs are widened to multiples of this: 4096 names exactly what differs. */
  readonly diffGranularityBytes?: number
  readonly finder?: ExtentFinder
}

/** The memory of a store: what it knows, where it keeps things, who is at work on which content. */
export interface StoreState {
  readonly key: Buffer
  readonly finder: ExtentFinder
  readonly fileBytesMax: number
  readonly diffGranularityBytes: number
  readonly rangesFolder: string
  now(): Date
  publicOrigin(): string
  all(): Iterable<ContentRecord>
  find(id: ContentId): ContentRecord | undefined
  findUnique(uniqueId: string): ContentRecord | undefined
  /** Remembers a record and makes it durable. */
  save(record: ContentRecord): Promise<ContentRecord>
  forget(record: ContentRecord): Promise<void>
  /** One task at a time per key, in the order asked for. */
  alone<T>(key: string, task: () => Promise<T>): Promise<T>
  /** Runs a task with a path for the bytes of a new content, that people can read and no other content has. */
  withImagePath<T>(
    id: ContentId,
    folder: 'disks' | 'snapshots',
    isSplit: boolean,
    task: (path: string) => Promise<T>,
  ): Promise<T>
}

/** Opens a store's folder: loads its records and sweeps away what a killed store left half done. */
export const openStoreState = async (options: DiskStoreOptions): Promise<StoreState> => {
  const { folder } = options
  for (const name of ['disks', 'snapshots', 'ranges']) await mkdir(join(folder, name), { recursive: true })
  const files = await openRecordFolder(join(folder, 'contents'))
  const records = new Map((await files.load()).map((record) => [record.id, record]))
  const unique = new Map([...records.values()].map((record) => [record.uniqueId, record]))
  await sweep(folder, unique)
  const queues = new Map<string, Promise<unknown>>()
  const reserved = new Set<string>()
  return {
    key: await openSigningKey(join(folder, 'signing.key')),
    finder: options.finder ?? createExtentFinder(),
    fileBytesMax: options.fileBytesMax ?? fileBytesMaxDefault,
    diffGranularityBytes: options.diffGranularityBytes ?? pageBytes,
    rangesFolder: join(folder, 'ranges'),
    now: options.now ?? (() => new Date()),
    publicOrigin: () => (typeof options.publicOrigin === 'string' ? options.publicOrigin : options.publicOrigin()),
    all: () => records.values(),
    find: (id) => records.get(id),
    findUnique: (uniqueId) => unique.get(uniqueId),
    async save(record) {
      await files.save(record)
      records.set(record.id, record)
      unique.set(record.uniqueId, record)
      return record
    },
    async forget(record) {
      records.delete(record.id)
      unique.delete(record.uniqueId)
      await files.remove(record.id)
    },
    async alone(key, task) {
      const turn = (queues.get(key) ?? Promise.resolve()).then(task, task)
      const settled = turn.catch(() => undefined)
      queues.set(key, settled)
      try {
        return await turn
      } finally {
        if (queues.get(key) === settled) queues.delete(key)
      }
    },
    async withImagePath(id, kind, isSplit, task) {
      const taken = new Set([...reserved, ...[...records.values()].map((record) => stem(record.image.path))])
      const path = newImagePath(join(folder, kind), id, isSplit, taken)
      reserved.add(stem(path))
      try {
        return await task(path)
      } finally {
        reserved.delete(stem(path))
      }
    },
  }
}

/** A record for a content that has no past. */
export const newRecord = (
  state: StoreState,
  fields: {
    readonly id: ContentId
    readonly kind: ContentRecord['kind']
    readonly image: ImageLayout
  } & Partial<ContentRecord>,
): ContentRecord => ({
  uniqueId: randomBytes(16).toString('hex'),
  isAdopted: false,
  familyId: randomUUID(),
  sequence: 0,
  createdAt: state.now().toISOString(),
  grant: null,
  ...fields,
})

/** Disks are called after the last part of their id; a digest of the whole id keeps apart those that share it. */
const newImagePath = (folder: string, id: ContentId, isSplit: boolean, taken: ReadonlySet<string>): string => {
  const readable = (id.split('/').pop() ?? '').replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 80) || 'disk'
  const ending = isSplit ? 'parts' : 'img'
  const short = join(folder, `${readable}.${ending}`)
  return taken.has(stem(short)) ? join(folder, `${readable}-${nameHash(id).slice(0, 8)}.${ending}`) : short
}

/** Some file systems do not tell upper from lower case. */
const stem = (path: string): string => path.replace(/\.(img|parts)$/, '').toLowerCase()

const sweep = async (folder: string, unique: ReadonlyMap<string, ContentRecord>): Promise<void> => {
  const kept = new Set([...unique.values()].map((record) => record.image.path))
  for (const name of await readdir(join(folder, 'snapshots'))) {
    const path = join(folder, 'snapshots', name)
    if (!kept.has(path)) await rm(path, { recursive: true, force: true })
  }
  for (const name of await readdir(join(folder, 'disks'))) {
    if (name.endsWith('.tmp')) await rm(join(folder, 'disks', name), { recursive: true, force: true })
  }
  for (const name of await readdir(join(folder, 'ranges'))) {
    const ids = name.match(/[0-9a-f]{32}/g) ?? []
    const isWhole = /\.(ranges|diff|footer)$/.test(name)
    if (!isWhole || !ids.every((id) => unique.has(id))) await rm(join(folder, 'ranges', name), { force: true })
  }
}
