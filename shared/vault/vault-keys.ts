import type { DataKey, KeyRing } from '../format/data-key.ts'
import { dataKeyName } from '../format/names.ts'
import { VaultError, vaultErrorOnly } from '../format/vault-error.ts'
import { type CurrentKey, readCurrentKey } from './current-key.ts'
import { currentKeyId, type DataKeyDeps, type RotateChoice, rotateDataKey, rotateWrappingKey } from './data-keys.ts'
import { openDataKey } from './open-data-key.ts'
import { listDataKeys, type StoredKey } from './stored-keys.ts'

/** The data keys of one vault, as its users work with them. Opened keys are kept in memory for some minutes, and nowhere else. */
export interface VaultKeys {
  /** Whether new frames can be encrypted. */
  readonly isConfigured: boolean
  /** The data key for new frames, made at first use; null where no wrapping key is configured.
   * @throws VaultError, WrappingKeyError, KeyServiceError */
  current(): Promise<DataKey | null>
  /** @throws VaultError `key-missing`, `key-locked`, `wrong-key`; KeyServiceError where another try may help */
  find(keyId: string): Promise<DataKey>
  /** All data keys of the vault, for reading. A key that cannot be opened throws only where it is looked for. */
  ring(): Promise<KeyRing>
  /** All data keys of the vault that can be opened: for threads, which no function reaches.
   * @throws KeyServiceError where another try may open one more */
  opened(): Promise<readonly DataKey[]>
  /** See `rotateDataKey`. */
  rotateDataKey(choice?: RotateChoice): ReturnType<typeof rotateDataKey>
  /** See `rotateWrappingKey`. */
  rotateWrappingKey(): ReturnType<typeof rotateWrappingKey>
}

/** A revoked wrapping key takes effect within this time; Azure's own services allow an hour. */
const lifeMs = 10 * 60_000
/** A key that could not be opened is asked for again after this time. */
const failedLifeMs = 15_000

interface Opened {
  readonly key: Promise<DataKey | Error>
  untilMs: number
}

/** One for each process. */
export const createVaultKeys = (deps: DataKeyDeps): VaultKeys => {
  const opened = new Map<string, Opened>()
  const open = (keyId: string, stored: StoredKey | null): Promise<DataKey | Error> => {
    const last = opened.get(keyId)
    const nowMs = deps.clock.now().getTime()
    if (last !== undefined && nowMs < last.untilMs) return last.key
    const next: Opened = { key: reopen(deps, keyId, stored, last), untilMs: nowMs + lifeMs }
    opened.set(keyId, next)
    void next.key.then((key) => {
      if (key instanceof Error) next.untilMs = nowMs + failedLifeMs
    })
    return next.key
  }
  const openAll = async () => {
    const stored = await listDataKeys(deps.vault)
    return Promise.all(stored.map(async (one) => [one.keyId, await open(one.keyId, one)] as const))
  }
  /** Jobs that begin together ask once, so that a first use does not make a key for each. */
  let asked: Promise<string | null> | null = null
  const find = async (keyId: string): Promise<DataKey> => orThrow(await open(keyId, null))
  return {
    isConfigured: deps.wrappers.wrapWith !== null,
    current: async () => {
      asked ??= currentKeyId(deps).finally(() => {
        asked = null
      })
      const keyId = await asked
      return keyId === null ? null : find(keyId)
    },
    find,
    ring: async () => {
      const keys = await openAll()
      const current = deps.wrappers.wrapWith === null ? null : await readCurrentKey(deps.control).catch(vaultErrorOnly)
      return ringOf(new Map(keys), current)
    },
    opened: async () =>
      (await openAll()).flatMap(([, key]) => {
        if (key instanceof VaultError) return []
        return [orThrow(key)]
      }),
    rotateDataKey: (choice) => rotateDataKey(deps, choice),
    rotateWrappingKey: () => rotateWrappingKey(deps),
  }
}

/** A key that is opened again stays the object it was, as what is derived from it is kept by it. Never rejects. */
const reopen = async (
  deps: DataKeyDeps,
  keyId: string,
  stored: StoredKey | null,
  last: Opened | undefined,
): Promise<DataKey | Error> => {
  try {
    const key = await openDataKey(deps, keyId, stored)
    const before = await last?.key
    const isSame = before !== undefined && !(before instanceof Error) && Buffer.compare(before.bytes, key.bytes) === 0
    return isSame ? before : key
  } catch (error) {
    return error instanceof Error ? error : new Error('The data key could not be opened.')
  }
}

/** @param current what is stored is read without it: where it is damaged, whoever asks for it is told */
const ringOf = (keys: ReadonlyMap<string, DataKey | Error>, current: CurrentKey | VaultError | null): KeyRing => {
  const find = (keyId: string): DataKey => orThrow(keys.get(keyId) ?? missing(keyId))
  return {
    get current() {
      if (current instanceof VaultError) throw current
      return current === null ? null : find(current.keyId)
    },
    find,
  }
}

const orThrow = (key: DataKey | Error): DataKey => {
  if (key instanceof Error) throw key
  return key
}

const missing = (keyId: string): VaultError =>
  new VaultError({ code: 'key-missing', name: dataKeyName(keyId, 1), keyId })
