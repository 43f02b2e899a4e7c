import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContentId, ContentKind } from './disk-store.ts'
import type { ImageLayout } from './image-layout.ts'

/** A live or past permission to reach one content over the data plane. */
export interface GrantRecord {
  readonly access: 'Read' | 'Write'
  /** The `si` of the SAS; its signature is derived from it. */
  readonly policyId: string
  readonly expiresAt: string
}

/** All that the store remembers of one content, besides its bytes. */
export interface ContentRecord {
  readonly id: ContentId
  /** 32 hex digits, new for each content, also where an id is used again. Caches are named by it. */
  readonly uniqueId: string
  readonly kind: ContentKind
  readonly image: ImageLayout
  /** True: somebody else's file, which is never moved or removed. */
  readonly isAdopted: boolean
  readonly familyId: string
  readonly sequence: number
  readonly createdAt: string
  readonly grant: GrantRecord | null
}

export interface RecordFolder {
  /** All records; leftovers of writes that were cut off are removed. */
  load(): Promise<ContentRecord[]>
  /** Durable when it resolves, seen whole or not at all. */
  save(record: ContentRecord): Promise<void>
  remove(id: ContentId): Promise<void>
}

/** One JSON file per content: a store that was killed starts again with everything it had answered for. */
export const openRecordFolder = async (folder: string): Promise<RecordFolder> => {
  await mkdir(folder, { recursive: true })
  const pathOf = (id: ContentId): string => join(folder, `${nameHash(id)}.json`)
  return {
    async load() {
      const records: ContentRecord[] = []
      for (const name of await readdir(folder)) {
        if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true })
        else records.push(JSON.parse(await readFile(join(folder, name), 'utf8')) as ContentRecord)
      }
      return records
    },
    save: (record) => writeWhole(pathOf(record.id), JSON.stringify(record, null, 2)),
    remove: (id) => rm(pathOf(id), { force: true }),
  }
}

/** Writes a small file so that a crash leaves either the old or the new bytes. Not for two writers of one path at once. */
export const writeWhole = async (path: string, bytes: string | Uint8Array, mode = 0o644): Promise<void> => {
  const temporary = `${path}.tmp`
  const file = await open(temporary, 'w', mode)
  try {
    await file.writeFile(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

/** Ids hold slashes and are long: a short digest names their files. */
export const nameHash = (id: string): string => createHash('sha256').update(id).digest('hex').slice(0, 32)
