import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import path from 'node:path'
import * as v from 'valibot'
import type { AuthLevel } from '../function-catalog.ts'

const keyFile = v.object({
  /** Opens everything, the admin routes too. */
  masterKey: v.string(),
  /** Opens every function of level `function`. */
  hostKey: v.string(),
  /** Opens the Durable management API. */
  systemKey: v.string(),
  /** Each opens the one function of its name (lower case). */
  functionKeys: v.record(v.string(), v.string()),
})

export type HostKeys = v.InferOutput<typeof keyFile>

/** The name of the header, and of the query parameter that stands in for it. Source: Functions docs, access keys. */
const keyHeader = 'x-functions-key'
const keyParameter = 'code'

const newKey = (): string => randomBytes(40).toString('base64url')

/** Where a data folder keeps its keys; readable by the owner only. */
export const keyFileOf = (dataFolder: string): string => path.join(dataFolder, 'keys.json')

/** Reads the keys of a data folder, and makes those that are missing: the same keys come back each time. */
export const loadKeys = async (dataFolder: string, functionNames: readonly string[]): Promise<HostKeys> => {
  const file = keyFileOf(dataFolder)
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  const stored: HostKeys =
    text === null
      ? { masterKey: newKey(), hostKey: newKey(), systemKey: newKey(), functionKeys: {} }
      : v.parse(keyFile, JSON.parse(text))
  const missing = functionNames.map((name) => name.toLowerCase()).filter((name) => !(name in stored.functionKeys))
  if (text !== null && missing.length === 0) return stored
  const functionKeys = { ...stored.functionKeys, ...Object.fromEntries(missing.map((name) => [name, newKey()])) }
  const keys = { ...stored, functionKeys }
  await writeFile(file, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600 })
  return keys
}

const sameKey = (a: string, b: string): boolean => {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

/** The key that a request presents: the header before the query parameter; null where it has neither. */
export const presentedKey = (request: IncomingMessage, query: URLSearchParams): string | null => {
  const header = request.headers[keyHeader]
  const key = typeof header === 'string' ? header : query.get(keyParameter)
  return key === null || key === '' ? null : key
}

/** What is being asked for: a function of some level, the admin routes (`admin`), the Durable API (`system`). */
export type Lock =
  | { readonly level: AuthLevel; readonly functionName: string }
  | { readonly level: 'system' | 'admin'; readonly functionName: null }

/** Whether a key opens a lock. With `keys` null nothing is locked, as in a run of Core Tools. */
export const opens = (keys: HostKeys | null, key: string | null, lock: Lock): boolean => {
  if (keys === null || lock.level === 'anonymous') return true
  if (key === null) return false
  if (sameKey(key, keys.masterKey)) return true
  if (lock.level === 'system') return sameKey(key, keys.systemKey)
  if (lock.level === 'admin' || lock.functionName === null) return false
  const own = keys.functionKeys[lock.functionName.toLowerCase()]
  return sameKey(key, keys.hostKey) || (own !== undefined && sameKey(key, own))
}
