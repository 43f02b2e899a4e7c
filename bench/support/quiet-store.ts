import { randomUUID } from 'node:crypto'
import { type BlobContent, type ControlStore, StorageError, type VaultStore } from '../../shared/ports/blob-store.ts'

export interface QuietStore extends ControlStore, VaultStore {
  /** How many objects lie below the first part of a name: `claims`. */
  countBelow(folder: string): number
}

/** A store in memory that costs as good as nothing, whatever it holds: what is measured is who calls it. */
export const createQuietStore = (): QuietStore => {
  const objects = new Map<string, BlobContent>()
  const folders = new Map<string, Set<string>>()
  const write = (name: string, bytes: Uint8Array): string => {
    const etag = randomUUID()
    for (const folder of objects.has(name) ? [] : foldersOf(name)) {
      const names = folders.get(folder)
      if (names === undefined) folders.set(folder, new Set([name]))
      else names.add(name)
    }
    objects.set(name, { bytes, etag })
    return etag
  }
  const createOnce = (name: string, bytes: Uint8Array): 'created' | 'exists' => {
    if (objects.has(name)) return 'exists'
    write(name, bytes)
    return 'created'
  }
  const remove = async (name: string, etag?: string): Promise<'removed' | 'absent' | 'changed'> => {
    const found = objects.get(name)
    if (found === undefined) return 'absent'
    if (etag !== undefined && found.etag !== etag) return 'changed'
    objects.delete(name)
    for (const folder of foldersOf(name)) folders.get(folder)?.delete(name)
    return 'removed'
  }
  return {
    countBelow: (folder) => folders.get(`${folder}/`)?.size ?? 0,
    read: async (name) => objects.get(name) ?? null,
    readRange: async (name, offsetBytes, lengthBytes) => {
      const found = objects.get(name)
      if (found === undefined) return null
      if (offsetBytes + lengthBytes > found.bytes.length) throw new StorageError({ code: 'short-object', name })
      return found.bytes.subarray(offsetBytes, offsetBytes + lengthBytes)
    },
    async *list(prefix) {
      const below = folders.get(prefix.slice(0, prefix.lastIndexOf('/') + 1)) ?? []
      const names = [...below].filter((name) => name.startsWith(prefix)).sort()
      for (const name of names) {
        const { bytes, etag } = objects.get(name) ?? { bytes: Buffer.alloc(0), etag: '' }
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
      objects.get(name)?.etag === etag
        ? { kind: 'replaced', etag: write(name, Buffer.from(body)) }
        : { kind: 'changed' },
    put: async (name, body) => {
      write(name, Buffer.from(body))
    },
    remove,
    purge: remove,
  }
}

/** `a/b/c` lies below `a/` and `a/b/`: a listing goes through what lies in its folder, whatever else there is. */
const foldersOf = (name: string): readonly string[] =>
  [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index + 1))
