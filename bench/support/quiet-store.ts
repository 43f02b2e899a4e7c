import { randomUUID } from 'node:crypto'
import { type BlobContent, type ControlStore, StorageError, type VaultStore } from '../../shared/ports/blob-store.ts'

export interface QuietStore extends ControlStore, VaultStore {
  /** How many objects lie below the first part of a name: `claims`. */
  countBelow(folder: string): number
}

/** A store in memory that costs as good as nothing, whatever it holds: what is measured is who calls it. */
export const createQuietStore = (): QuietStore => {
  const folders = new Map<string, Map<string, BlobContent>>()
  const folderOf = (name: string): Map<string, BlobContent> => {
    const key = name.slice(0, name.indexOf('/'))
    const known = folders.get(key) ?? new Map<string, BlobContent>()
    folders.set(key, known)
    return known
  }
  const write = (name: string, bytes: Uint8Array): string => {
    const etag = randomUUID()
    folderOf(name).set(name, { bytes, etag })
    return etag
  }
  const createOnce = (name: string, bytes: Uint8Array): 'created' | 'exists' => {
    if (folderOf(name).has(name)) return 'exists'
    write(name, bytes)
    return 'created'
  }
  const remove = async (name: string, etag?: string): Promise<'removed' | 'absent' | 'changed'> => {
    const found = folderOf(name).get(name)
    if (found === undefined) return 'absent'
    if (etag !== undefined && found.etag !== etag) return 'changed'
    folderOf(name).delete(name)
    return 'removed'
  }
  return {
    countBelow: (folder) => folders.get(folder)?.size ?? 0,
    read: async (name) => folderOf(name).get(name) ?? null,
    readRange: async (name, offsetBytes, lengthBytes) => {
      const found = folderOf(name).get(name)
      if (found === undefined) return null
      if (offsetBytes + lengthBytes > found.bytes.length) throw new StorageError({ code: 'short-object', name })
      return found.bytes.subarray(offsetBytes, offsetBytes + lengthBytes)
    },
    async *list(prefix) {
      const names = [...folderOf(prefix).keys()].filter((name) => name.startsWith(prefix)).sort()
      for (const name of names) {
        const { bytes, etag } = folderOf(name).get(name) ?? { bytes: Buffer.alloc(0), etag: '' }
        yield { name, lengthBytes: bytes.length, etag }
      }
    },
    create: async (name, parts) => createOnce(name, Buffer.concat(parts)),
    createFromStream: async (name, parts) => {
      const gathered: Uint8Array[] = []
      for await (const part of parts) gathered.push(Uint8Array.from(part))
      return createOnce(name, Buffer.concat(gathered))
    },
    replace: async (name, body, etag) =>
      folderOf(name).get(name)?.etag === etag
        ? { kind: 'replaced', etag: write(name, Buffer.from(body)) }
        : { kind: 'changed' },
    put: async (name, body) => {
      write(name, Buffer.from(body))
    },
    remove,
    purge: remove,
  }
}
