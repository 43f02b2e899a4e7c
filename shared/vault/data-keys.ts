import { randomBytes } from 'node:crypto'
import type { DataKey } from '../format/data-key.ts'
import { dataKeyName } from '../format/names.ts'
import { VaultError } from '../format/vault-error.ts'
import { parseVaultName } from '../format/vault-name.ts'
import type { BlobCreator, ControlStore } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import {
  KeyServiceError,
  type KeyWrapper,
  type KeyWrappers,
  type KeyWrapping,
  type WrapperFailure,
  WrappingKeyError,
} from '../ports/key-wrapper.ts'
import { findCurrentKey, nameCurrentKey, readCurrentKey } from './current-key.ts'
import { listDamage } from './damage-reports.ts'
import { dataKeyBytes, type KeyRecord, keyCheckOf } from './key-record.ts'
import { openDataKey, readNewestReadable } from './open-data-key.ts'
import { createKeyRecord, listDataKeys, readKeyRecord, type StoredKey } from './stored-keys.ts'
import { unwrapDataKey } from './unwrap-data-key.ts'

/** Where data keys lie, and what wraps and opens them. */
export interface DataKeyDeps {
  readonly vault: BlobCreator
  readonly control: ControlStore
  readonly wrappers: KeyWrappers
  readonly clock: Pick<Clock, 'now'>
}

/** The key that new frames are encrypted under, by its id; made at first use. Key: the vault: of several first uses at once one names the
 * current key and all go on with that one; a key that was made for nothing stays unused. Null where no wrapping key is configured.
 * @throws WrappingKeyError, KeyServiceError */
export const currentKeyId = async (deps: DataKeyDeps): Promise<string | null> => {
  const { wrapWith } = deps.wrappers
  if (wrapWith === null) return null
  const current = await readCurrentKey(deps.control)
  if (current !== null) return current.keyId
  return nameCurrentKey(deps.control, await createDataKey(deps, wrapWith), null)
}

/** @param evenIfLocked also where the wrapping keys of the settings do not open the current data key */
export interface RotateChoice {
  readonly evenIfLocked: boolean
}

/** The current data key does not open, or is not known as the object that names it is damaged, which hints at the wrong wrapping key: a new data key under that one would split the vault into
 * parts that no settings open together. `cause` says why. */
export class CurrentKeyLockedError extends Error {
  override readonly name = 'CurrentKeyLockedError'
  override readonly cause: VaultError
  constructor(cause: VaultError) {
    super(cause.message)
    this.cause = cause
  }
}

/** Makes a new data key for new frames; what is stored stays under the key it has. Two at once may come to the same new key.
 * @returns null where no wrapping key is configured
 * @throws CurrentKeyLockedError, and then nothing was changed; WrappingKeyError, KeyServiceError */
export const rotateDataKey = async (
  deps: DataKeyDeps,
  { evenIfLocked }: RotateChoice = { evenIfLocked: false },
): Promise<{ readonly keyId: string; readonly previousKeyId: string | null } | null> => {
  const { wrapWith } = deps.wrappers
  if (wrapWith === null) return null
  const before = await findCurrentKey(deps.control)
  if (before !== null && !evenIfLocked) await proveOpen(deps, before.keyId)
  const keyId = await nameCurrentKey(deps.control, await createDataKey(deps, wrapWith), before)
  const previousKeyId = before === null || before.keyId instanceof VaultError ? null : before.keyId
  return { keyId, previousKeyId }
}

const proveOpen = async (deps: DataKeyDeps, keyId: string | VaultError): Promise<void> => {
  try {
    if (keyId instanceof VaultError) throw keyId
    await openDataKey(deps, keyId, null)
  } catch (error) {
    throw error instanceof VaultError ? new CurrentKeyLockedError(error) : error
  }
}

/** What became of one data key. */
export type Rewrapped =
  | { readonly kind: 'rewrapped' | 'already'; readonly keyId: string; readonly revision: number; readonly key: string }
  | { readonly kind: 'failed'; readonly keyId: string; readonly error: unknown }

/** Wraps every data key anew, under the newest version of the configured wrapping key, as the next revision of its record. No data is
 * rewritten, and earlier revisions stay. Repeatable: a key that is wrapped so is left as it is. Where the newest revision is damaged, an earlier
 * one stands in, and the next one is whole. One key that fails does not stop the others. A key whose records are all gone has failed, too, where the name of
 * the current key or the report of a check tells of it: brought back it needs the version that wraps it.
 * @returns null where no wrapping key is configured */
export const rotateWrappingKey = async (deps: DataKeyDeps): Promise<readonly Rewrapped[] | null> => {
  const { wrapWith } = deps.wrappers
  if (wrapWith === null) return null
  const known = await knownKeyIds(deps)
  const stored = await listDataKeys(deps.vault)
  const done: Rewrapped[] = [...known].flatMap((keyId) =>
    stored.some((one) => one.keyId === keyId) ? [] : [{ kind: 'failed', keyId, error: missing(keyId) }],
  )
  for (const one of stored)
    done.push(
      await rewrap(deps, wrapWith, one).catch((error) => ({ kind: 'failed', keyId: one.keyId, error }) as const),
    )
  return done
}

/** What tells of data keys beside their records. To be asked before these are listed: a key is named behind its record. */
const knownKeyIds = async ({ control }: DataKeyDeps): Promise<ReadonlySet<string>> => {
  const known = new Set<string>()
  const current = await findCurrentKey(control)
  if (typeof current?.keyId === 'string') known.add(current.keyId)
  for await (const { name } of listDamage(control, null)) {
    const parsed = parseVaultName(name)
    if (parsed.kind === 'key') known.add(parsed.keyId)
  }
  return known
}

const missing = (keyId: string): VaultError =>
  new VaultError({ code: 'key-missing', name: dataKeyName(keyId, 1), keyId })

const rewrap = async (deps: DataKeyDeps, wrapper: KeyWrapper, stored: StoredKey): Promise<Rewrapped> => {
  const { keyId } = stored
  const record = await readNewestReadable(deps.vault, stored)
  const dataKey = await unwrapDataKey(record, deps.wrappers.unwrapWith)
  const wrapping = await wrapProven(wrapper, dataKey)
  const { key } = wrapping
  if (record.revision === stored.revision && isWrappedBy(record, wrapping))
    return { kind: 'already', keyId, revision: record.revision, key }
  const next = recordOf(deps, dataKey, stored.revision + 1, wrapping)
  if ((await createKeyRecord(deps.vault, next)) === 'created')
    return { kind: 'rewrapped', keyId, revision: next.revision, key }
  const twin = await readKeyRecord(deps.vault, next)
  return { kind: isWrappedBy(twin, wrapping) ? 'already' : 'rewrapped', keyId, revision: twin.revision, key }
}

const isWrappedBy = ({ wrappings }: KeyRecord, { kind, key }: KeyWrapping): boolean =>
  wrappings.length === 1 && wrappings.every((one) => one.kind === kind && one.key === key)

const createDataKey = async (deps: DataKeyDeps, wrapper: KeyWrapper): Promise<string> => {
  const dataKey = { keyId: randomBytes(16).toString('hex'), bytes: randomBytes(dataKeyBytes) }
  const wrapping = await wrapProven(wrapper, dataKey)
  await createKeyRecord(deps.vault, recordOf(deps, dataKey, 1, wrapping))
  return dataKey.keyId
}

const recordOf = (deps: DataKeyDeps, dataKey: DataKey, revision: number, wrapping: KeyWrapping): KeyRecord => ({
  format: 1,
  keyId: dataKey.keyId,
  revision,
  createdAt: deps.clock.now().toISOString(),
  wrappings: [wrapping],
  check: keyCheckOf(dataKey.bytes),
})

/** Wraps, and opens again what came out: a record that nobody can open would lock what is encrypted from then on. */
const wrapProven = async (wrapper: KeyWrapper, dataKey: DataKey): Promise<KeyWrapping> => {
  const wrapped = await wrapper.wrap(dataKey.bytes)
  if (wrapped.kind !== 'wrapped') throw errorOf(wrapped)
  const opened = await wrapper.unwrap(wrapped.wrapping)
  if (opened.kind !== 'unwrapped') throw errorOf(opened)
  if (keyCheckOf(opened.dataKey) !== keyCheckOf(dataKey.bytes))
    throw errorOf({ kind: 'bad-wrapping', key: wrapped.wrapping.key })
  return wrapped.wrapping
}

const errorOf = (failure: WrapperFailure): Error =>
  failure.kind === 'unreachable' || failure.kind === 'throttled'
    ? new KeyServiceError(failure)
    : new WrappingKeyError(failure)
