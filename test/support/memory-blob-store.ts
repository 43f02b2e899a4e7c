import { createHash } from 'node:crypto'
import {
  type BlobContent,
  type BlobEntry,
  type CallOptions,
  type ControlStore,
  StorageError,
  type VaultStore,
} from '../../shared/ports/blob-store.ts'
import { createStorageRules, type StorageRules } from './storage-rules.ts'

export type StoreOperation =
  | 'read'
  | 'readRange'
  | 'list'
  | 'create'
  | 'createFromStream'
  | 'replace'
  | 'put'
  | 'remove'
  | 'purge'

/** One call of the store, counted from 1. */
export interface StoreCall {
  readonly number: number
  readonly operation: StoreOperation
  readonly name: string
}

/** What happens instead of, or around, a call. `crash*` ends the run under test: no later call of this store succeeds. */
export type StoreFault = 'crashBefore' | 'crashAfter' | 'lostAnswer' | 'throttled' | 'unreachable'

/** Thrown by crash faults: not a StorageError, so that nothing takes it for something it could handle. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash'
}

export interface MemoryBlobStore extends ControlStore, VaultStore {
  readonly objects: Map<string, BlobContent>
  readonly rules: StorageRules
  readonly calls: StoreCall[]
  /** Asked before each call; null lets it pass. */
  fault: (call: StoreCall) => StoreFault | null
  /** Awaited in each call before it takes effect: lets a test mix the calls of several runs. */
  pause: (call: StoreCall) => Promise<void>
  /** A second door to the same objects with its own calls and faults: another process, or the next try after a crash. */
  reopen(): MemoryBlobStore
}

const readBytesMaxDefault = 64 * 1024 * 1024
const listPageNamesDefault = 2

/** A store in memory under the contract of shared/ports/blob-store.ts, with faults by call.
 * @param rules of the storage account that lie under it; without them objects are removed for good and have no tier
 * @param listPageNames names that one listing call answers */
export const createMemoryBlobStore = (
  objects = new Map<string, BlobContent>(),
  rules: StorageRules = createStorageRules(),
  listPageNames = listPageNamesDefault,
): MemoryBlobStore => {
  const calls: StoreCall[] = []
  let hasCrashed = false
  const faultOf = (operation: StoreOperation, name: string): StoreFault | null => {
    const call = { number: calls.length + 1, operation, name }
    calls.push(call)
    return store.fault(call)
  }
  const around = async <T>(
    operation: StoreOperation,
    name: string,
    act: () => T | Promise<T>,
    signal?: AbortSignal,
  ) => {
    signal?.throwIfAborted()
    if (hasCrashed) throw new SimulatedCrash(`after the crash: ${operation} ${name}`)
    const fault = faultOf(operation, name)
    await store.pause({ number: calls.length, operation, name })
    if (fault === 'throttled') throw new StorageError({ code: 'throttled', name, retryAfterSeconds: null })
    if (fault === 'unreachable') throw new StorageError({ code: 'unreachable', name })
    if (fault === 'crashBefore') hasCrashed = true
    if (hasCrashed) throw new SimulatedCrash(`crash before ${operation} ${name}`)
    const result = await act()
    if (fault === 'crashAfter') hasCrashed = true
    if (hasCrashed) throw new SimulatedCrash(`crash after ${operation} ${name}`)
    return fault === 'lostAnswer' ? lostAnswer(operation, name, act) : result
  }
  const write = (name: string, bytes: Buffer): string => {
    const etag = `"${createHash('sha256').update(`${name}\n${etagCount++}\n`).digest('hex').slice(0, 16)}"`
    rules.overwrite(name, objects.get(name))
    objects.set(name, { bytes, etag })
    return etag
  }
  const createOnce = (name: string, bytes: Buffer): 'created' | 'exists' => {
    if (objects.has(name)) return 'exists'
    write(name, bytes)
    return 'created'
  }
  const store: MemoryBlobStore = {
    objects,
    rules,
    calls,
    fault: () => null,
    pause: () => Promise.resolve(),
    reopen: () => createMemoryBlobStore(objects, rules, listPageNames),
    read: (name, options) =>
      around(
        'read',
        name,
        () => {
          const found = objects.get(name)
          if (found === undefined) return null
          if (found.bytes.length > (options?.lengthBytesMax ?? readBytesMaxDefault))
            throw new StorageError({ code: 'too-large', name })
          return { ...found, bytes: Buffer.from(found.bytes) }
        },
        options?.signal,
      ),
    readRange: (name, offsetBytes, lengthBytes, options) =>
      around(
        'readRange',
        name,
        () => {
          const found = objects.get(name)
          if (found === undefined) return null
          if (offsetBytes + lengthBytes > found.bytes.length) throw new StorageError({ code: 'short-object', name })
          return Buffer.from(found.bytes.subarray(offsetBytes, offsetBytes + lengthBytes))
        },
        options?.signal,
      ),
    list: (prefix, options) => listPages(prefix, options),
    create: (name, parts, options) => {
      const bytes = Buffer.concat(parts)
      return around('create', name, () => createOnce(name, bytes), options?.signal)
    },
    createFromStream: async (name, parts, options) => {
      const gathered: Uint8Array[] = []
      for await (const part of parts) gathered.push(Buffer.from(part))
      return around('createFromStream', name, () => createOnce(name, Buffer.concat(gathered)), options?.signal)
    },
    replace: (name, body, etag, options) =>
      around(
        'replace',
        name,
        () =>
          objects.get(name)?.etag === etag
            ? { kind: 'replaced' as const, etag: write(name, Buffer.from(body)) }
            : { kind: 'changed' as const },
        options?.signal,
      ),
    put: (name, body, options) =>
      around(
        'put',
        name,
        () => {
          write(name, Buffer.from(body))
        },
        options?.signal,
      ),
    remove: (name, etag, options) =>
      around(
        'remove',
        name,
        () => {
          const found = objects.get(name)
          if (found === undefined) return 'absent' as const
          if (etag !== undefined && found.etag !== etag) return 'changed' as const
          objects.delete(name)
          return 'removed' as const
        },
        options?.signal,
      ),
    purge: (name, etag, options) =>
      around(
        'purge',
        name,
        () => {
          const found = objects.get(name)
          if (found === undefined) return 'absent' as const
          if (rules.isRetained(name)) return 'retained' as const
          if (found.etag !== etag) return 'changed' as const
          objects.delete(name)
          rules.hide(name, found)
          return 'removed' as const
        },
        options?.signal,
      ),
  }
  async function* listPages(prefix: string, options?: CallOptions): AsyncGenerator<BlobEntry> {
    let after = ''
    for (;;) {
      const page = await around(
        'list',
        prefix,
        () => pageOf(objects, rules, prefix, after, listPageNames),
        options?.signal,
      )
      yield* page
      const last = page.at(-1)
      if (last === undefined || page.length < listPageNames) return
      after = last.name
    }
  }
  return store
}

let etagCount = 0

/** Names sort by their bytes, which for ASCII names is the order of their code units. */
const pageOf = (
  objects: Map<string, BlobContent>,
  rules: StorageRules,
  prefix: string,
  after: string,
  names: number,
): BlobEntry[] =>
  [...objects]
    .filter(([name]) => name.startsWith(prefix) && name > after)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, names)
    .map(([name, { bytes, etag }]) => ({ name, lengthBytes: bytes.length, etag, ...rules.entryOf(name) }))

/** The call took effect, its answer was lost and the store's own retry did it once more, as an SDK would. */
const lostAnswer = async <T>(operation: StoreOperation, name: string, act: () => T | Promise<T>): Promise<T> => {
  if (operation === 'replace') throw new StorageError({ code: 'unreachable', name })
  return act()
}
