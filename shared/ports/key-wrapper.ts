import type { CallOptions } from './blob-store.ts'

/** A data key as it lies in the vault: encrypted by a wrapping key that the vault never holds. */
export interface KeyWrapping {
  readonly kind: 'key-vault' | 'key-file'
  /** Which wrapping key: a Key Vault key's URL with its version, or the fingerprint of a key file's line. No secret. */
  readonly key: string
  readonly algorithm: 'RSA-OAEP-256' | 'A256KW'
  /** Base64. */
  readonly wrapped: string
}

/** Wraps data keys with a key that stays where it is. Nothing here waits for long: a service that does not answer, or asks to wait, is an
 * outcome, so that the caller's own retry decides. */
export interface KeyWrapper {
  readonly kind: KeyWrapping['kind']
  /** Wraps under the newest version of the wrapping key, if that may be used.
   * @param dataKey 32 bytes; they never show up in an outcome, an error or a log */
  wrap(
    dataKey: Uint8Array,
    options?: CallOptions,
  ): Promise<{ readonly kind: 'wrapped'; readonly wrapping: KeyWrapping } | WrapperFailure>
  /** Unwraps under the very version that wrapped.
   * @param wrapping of this wrapper's kind */
  unwrap(
    wrapping: KeyWrapping,
    options?: CallOptions,
  ): Promise<{ readonly kind: 'unwrapped'; readonly dataKey: Uint8Array } | WrapperFailure>
}

/** Why a wrapping key could not be used. `key` names it and is no secret.
 * - `refused`: the service knows the caller and does not let it
 * - `key-missing`, `key-disabled`, `key-out-of-date`: the state of the wrapping key; deleted counts as missing
 * - `key-unsuitable`: it is not an RSA key that may wrap and unwrap
 * - `file-malformed`: the key file is there, but holds something else than keys
 * - `unknown-key`: the wrapping names a key that the settings do not name
 * - `bad-wrapping`: the key is there, but these bytes were not wrapped by it, or were changed since
 * - `unreachable`, `throttled`: another try may help */
export type WrapperFailure =
  | { readonly kind: KeyObstacle; readonly key: string }
  | { readonly kind: 'unreachable'; readonly key: string }
  | { readonly kind: 'throttled'; readonly key: string; readonly retryAfterSeconds: number | null }

/** What another try cannot cure: somebody has to do something about the key. */
export type KeyObstacle =
  | 'refused'
  | 'key-missing'
  | 'key-disabled'
  | 'key-out-of-date'
  | 'key-unsuitable'
  | 'file-malformed'
  | 'unknown-key'
  | 'bad-wrapping'

/** The wrapping keys of the settings. */
export interface KeyWrappers {
  /** Wraps new data keys; null where new frames are not encrypted. */
  readonly wrapWith: KeyWrapper | null
  /** All that may unwrap, the one above included. */
  readonly unwrapWith: readonly KeyWrapper[]
}

/** The wrapping key could not be asked; another try may help. */
export class KeyServiceError extends Error {
  override readonly name = 'KeyServiceError'
  readonly retryAfterSeconds: number | null
  constructor(failure: WrapperFailure & { readonly kind: 'unreachable' | 'throttled' }) {
    super(
      failure.kind === 'throttled'
        ? `The service of the key ${failure.key} is throttling. The step is repeated.`
        : `The service of the key ${failure.key} does not answer, or there is no token for it. Check its firewall, the network of the function app, and its managed identity.`,
    )
    this.retryAfterSeconds = failure.kind === 'throttled' ? failure.retryAfterSeconds : null
  }
}

/** The wrapping key may not be used for new data keys, and another try does not cure it. */
export class WrappingKeyError extends Error {
  override readonly name = 'WrappingKeyError'
  readonly obstacle: KeyObstacle
  constructor(failure: WrapperFailure & { readonly kind: KeyObstacle }) {
    super(`No data key can be wrapped: ${explainWrapperFailure(failure)}.`)
    this.obstacle = failure.kind
  }
  get hint(): string {
    return 'Name an RSA key that is enabled and valid, and give the identity of this app the role Key Vault Crypto Service Encryption User on it; for a key file, see that the app can read it and that it holds 64 hex digits.'
  }
}

/** A failure in words that go on with a sentence. Names the wrapping key; no secret. */
export const explainWrapperFailure = ({ kind, key }: WrapperFailure): string => {
  switch (kind) {
    case 'refused':
      return `the key ${key} may not be used by this app`
    case 'key-missing':
      return `the key ${key} does not exist, is deleted or cannot be read`
    case 'key-disabled':
      return `the key ${key} is disabled`
    case 'key-out-of-date':
      return `the key ${key} has expired or is not valid yet`
    case 'key-unsuitable':
      return `the key ${key} is not an RSA key that may wrap and unwrap`
    case 'file-malformed':
      return `the key file ${key} holds something else than keys: each of its lines, 100 at most, must be 64 hex digits, without spaces or empty lines`
    case 'unknown-key':
      return `the key ${key} is not among those of the settings`
    case 'bad-wrapping':
      return `the key ${key} does not open what it wrapped`
    case 'unreachable':
      return `the service of the key ${key} does not answer`
    case 'throttled':
      return `the service of the key ${key} is throttling`
    default:
      return kind satisfies never
  }
}
