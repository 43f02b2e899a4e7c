import { setTimeout as sleep } from 'node:timers/promises'
import type { TokenCredential } from '@azure/identity'
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import type { CallOptions } from '../ports/blob-store.ts'
import type { KeyWrapper, KeyWrapping, WrapperFailure } from '../ports/key-wrapper.ts'
import { keyVaultFailureOf } from './key-vault-faults.ts'

const algorithm = 'RSA-OAEP-256'
/** Two quick repeats cover a lost connection; what lasts longer is the caller's to repeat. */
const pausesMs = [300, 1500]
const tryMilliseconds = 10_000
/** A longer wait would sleep inside a running step. */
const retryAfterSecondsMax = 3

/** A key in Azure Key Vault or a managed HSM, by its URL. */
interface NamedKey {
  readonly origin: string
  readonly name: string
  /** Null: the newest. */
  readonly version: string | null
}

/** An RSA key in Azure Key Vault as wrapping key. It wraps with the newest version, or with the one that the URL names, and unwraps with the
 * version that wrapped. The identity needs the role Key Vault Crypto Service Encryption User (get, wrapKey, unwrapKey).
 * @param keyUrls `https://<vault>.vault.azure.net/keys/<name>`, with or without a version. The first one wraps; the others only unwrap */
export const createKeyVaultWrapper = (from: {
  readonly credential: TokenCredential
  readonly keyUrls: readonly [string, ...string[]]
}): KeyWrapper => {
  const keys = from.keyUrls.map(parseKeyVaultKeyUrl)
  const clients = createClients(from.credential)
  return {
    kind: 'key-vault',
    wrap: async (dataKey, options) => {
      const newest = await newestVersion(clients, keys[0]!, options)
      if ('kind' in newest) return newest
      const wrapped = await withTries(newest.url, 'wrap', options, (request) =>
        clients.cryptography(newest).wrapKey(algorithm, dataKey, request),
      )
      if ('kind' in wrapped) return wrapped
      const base64 = Buffer.from(wrapped.result).toString('base64')
      return { kind: 'wrapped', wrapping: { kind: 'key-vault', key: newest.url, algorithm, wrapped: base64 } }
    },
    unwrap: async (wrapping, options) => {
      const version = knownVersion(keys, wrapping)
      if (version === null) return { kind: 'unknown-key', key: wrapping.key }
      const unwrapped = await withTries(wrapping.key, 'unwrap', options, (request) =>
        clients.cryptography(version).unwrapKey(algorithm, Buffer.from(wrapping.wrapped, 'base64'), request),
      )
      return 'kind' in unwrapped ? unwrapped : { kind: 'unwrapped', dataKey: unwrapped.result }
    },
  }
}

interface KeyVersion {
  readonly origin: string
  readonly name: string
  readonly version: string
  readonly url: string
}

const versionOf = (origin: string, name: string, version: string): KeyVersion => ({
  origin,
  name,
  version,
  url: `${origin}/keys/${name}/${version}`,
})

const parseKeyVaultKeyUrl = (url: string): NamedKey => {
  const { origin, pathname } = new URL(url)
  const [, , name = '', version] = pathname.replace(/\/$/, '').split('/')
  return { origin, name, version: version ?? null }
}

/** Only keys of the settings are asked: what lies in the vault must not decide where requests go. */
const knownVersion = (keys: readonly NamedKey[], { key }: KeyWrapping): KeyVersion | null => {
  if (!URL.canParse(key)) return null
  const { origin, name, version } = parseKeyVaultKeyUrl(key)
  const isKnown = keys.some((one) => one.origin === origin && one.name.toLowerCase() === name.toLowerCase())
  return isKnown && version !== null && /^[\w-]{1,64}$/.test(version) ? versionOf(origin, name, version) : null
}

/** The service wraps with a disabled key, which it would not unwrap again, so the state is looked at here. */
const newestVersion = async (
  clients: Clients,
  key: NamedKey,
  options: CallOptions | undefined,
): Promise<KeyVersion | WrapperFailure> => {
  const url = `${key.origin}/keys/${key.name}${key.version === null ? '' : `/${key.version}`}`
  const found = await withTries(url, 'get', options, (request) =>
    clients
      .keys(key.origin)
      .getKey(key.name, { ...request, ...(key.version === null ? {} : { version: key.version }) }),
  )
  if ('kind' in found) return found
  const { enabled, notBefore, expiresOn, version } = found.properties
  const now = Date.now()
  if (enabled === false) return { kind: 'key-disabled', key: url }
  if ((notBefore && notBefore.getTime() > now) || (expiresOn && expiresOn.getTime() <= now))
    return { kind: 'key-out-of-date', key: url }
  const operations: readonly string[] = found.keyOperations ?? ['wrapKey', 'unwrapKey']
  const isRsa = found.keyType === 'RSA' || found.keyType === 'RSA-HSM'
  if (!isRsa || !operations.includes('wrapKey') || !operations.includes('unwrapKey') || version === undefined)
    return { kind: 'key-unsuitable', key: url }
  return versionOf(key.origin, key.name, version)
}

interface Clients {
  readonly keys: (origin: string) => KeyClient
  readonly cryptography: (version: KeyVersion) => CryptographyClient
}

const createClients = (credential: TokenCredential): Clients => {
  const keys = new Map<string, KeyClient>()
  const cryptography = new Map<string, CryptographyClient>()
  return {
    keys: (origin) => remembered(keys, origin, () => new KeyClient(origin, credential, clientOptions())),
    cryptography: (version) =>
      remembered(cryptography, version.url, () => new CryptographyClient(asKey(version), credential, clientOptions())),
  }
}

const remembered = <Value>(known: Map<string, Value>, key: string, make: () => Value): Value => {
  const found = known.get(key) ?? make()
  known.set(key, found)
  return found
}

/** The SDK's own retries would sleep for as long as Retry-After says. The SDK writes into the object it is given, so each client gets its own. */
const clientOptions = () => ({ retryOptions: { maxRetries: 0 } })

/** Given a URL, the SDK would fetch the key and refuse to unwrap with one that has expired, which the service itself allows: old recovery
 * points hang on it. Given a key without dates it asks the service. */
const asKey = ({ url, name, origin, version }: KeyVersion): KeyVaultKey => ({
  id: url,
  name,
  keyType: 'RSA',
  key: { kid: url, kty: 'RSA' },
  properties: { id: url, name, vaultUrl: origin, version },
})

interface RequestOptions {
  readonly abortSignal?: AbortSignal
  readonly requestOptions: { readonly timeout: number }
}

const withTries = async <Answer extends object>(
  key: string,
  during: 'get' | 'wrap' | 'unwrap',
  options: CallOptions | undefined,
  attempt: (request: RequestOptions) => Promise<Answer>,
): Promise<Answer | WrapperFailure> => {
  const abort = options?.signal === undefined ? {} : { abortSignal: options.signal }
  for (let number = 0; ; number++) {
    options?.signal?.throwIfAborted()
    try {
      return await attempt({ ...abort, requestOptions: { timeout: tryMilliseconds } })
    } catch (error) {
      options?.signal?.throwIfAborted()
      const failure = keyVaultFailureOf(error, key, during)
      const pauseMs = pausesMs[number]
      const waitSeconds = failure.kind === 'throttled' ? (failure.retryAfterSeconds ?? 0) : 0
      const mayHelp = failure.kind === 'throttled' || failure.kind === 'unreachable'
      if (!mayHelp || pauseMs === undefined || waitSeconds > retryAfterSecondsMax) return failure
      await sleep(Math.max(pauseMs * (0.75 + Math.random() / 2), waitSeconds * 1000))
    }
  }
}
