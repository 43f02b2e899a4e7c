import { dataKeyName } from './names.ts'
import { VaultError } from './vault-error.ts'

/** What frames are encrypted under. `bytes` are a secret: they never leave memory but wrapped. */
export interface DataKey {
  /** 32 lower-case hex digits, random. */
  readonly keyId: string
  /** 32 random bytes. */
  readonly bytes: Uint8Array
}

/** True for what may name a data key: 32 hex digits, the 16 bytes of a frame's header, not all zero. */
export const isKeyId = (text: string): boolean => /^[0-9a-f]{32}$/.test(text) && /[1-9a-f]/.test(text)

/** The data keys that are at hand. */
export interface KeyRing {
  /** For new frames; null where they are not encrypted. */
  readonly current: DataKey | null
  /** The same object each time, so that what is derived from it can be kept.
   * @throws VaultError `key-missing` or `key-locked` */
  find(keyId: string): DataKey
}

/** Reads what is encrypted under these keys, and what is not encrypted; for new frames there is none. */
export const keyRingOf = (keys: readonly DataKey[]): KeyRing => {
  const byId = new Map(keys.map((key) => [key.keyId, key]))
  const missing = (keyId: string) => new VaultError({ code: 'key-missing', name: dataKeyName(keyId, 1), keyId })
  return {
    current: null,
    find: (keyId) => {
      const key = byId.get(keyId)
      if (key === undefined) throw missing(keyId)
      return key
    },
  }
}

/** Reads what is not encrypted, and nothing else. */
export const noKeys: KeyRing = keyRingOf([])
