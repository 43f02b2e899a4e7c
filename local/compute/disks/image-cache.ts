import type { ContentRecord } from './content-record.ts'
import { type OpenImage, openImage } from './sparse-image.ts'

/** Images that stay open between requests; the oldest unused is closed first. */
const openImagesMax = 64

export interface ImageCache {
  /** Runs a task on a content's image. Images of the store stay open afterwards, because scattered reads come by the thousand;
   * an adopted file is opened each time, because its owner may have put another in its place. */
  use<T>(record: ContentRecord, task: (image: OpenImage) => Promise<T>): Promise<T>
  /** Closes one content's image when its last user is done. */
  drop(uniqueId: string): Promise<void>
  close(): Promise<void>
}

/** Empty; closed when the store is. */
export const createImageCache = (): ImageCache => {
  const entries = new Map<string, { readonly image: OpenImage; users: number; isDropped: boolean }>()
  const closeUnused = async (): Promise<void> => {
    for (const [key, entry] of entries) {
      if (entries.size <= openImagesMax) return
      if (entry.users > 0) continue
      entries.delete(key)
      await entry.image.close()
    }
  }
  return {
    async use(record, task) {
      if (record.isAdopted) return useOnce(record, task)
      const entry = entries.get(record.uniqueId) ?? {
        image: openImage(record.image, record.kind === 'upload' ? 'r+' : 'r'),
        users: 0,
        isDropped: false,
      }
      // Taken out and put in again: the map's order is the order of last use.
      entries.delete(record.uniqueId)
      entries.set(record.uniqueId, entry)
      entry.users += 1
      try {
        return await task(entry.image)
      } finally {
        entry.users -= 1
        if (entry.isDropped && entry.users === 0) await entry.image.close()
        await closeUnused()
      }
    },
    async drop(uniqueId) {
      const entry = entries.get(uniqueId)
      if (entry === undefined) return
      entries.delete(uniqueId)
      entry.isDropped = true
      if (entry.users === 0) await entry.image.close()
    },
    async close() {
      for (const key of [...entries.keys()]) await this.drop(key)
    },
  }
}

const useOnce = async <T>(record: ContentRecord, task: (image: OpenImage) => Promise<T>): Promise<T> => {
  const image = openImage(record.image, 'r')
  try {
    return await task(image)
  } finally {
    await image.close()
  }
}
