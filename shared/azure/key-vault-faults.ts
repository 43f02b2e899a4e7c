import type { WrapperFailure } from '../ports/key-wrapper.ts'

/** What a failed request to Key Vault means. Never carries the service's text, which names the caller.
 * @param key URL of the key that was asked for
 * @param during what was asked: bytes that Key Vault cannot unwrap are no fault of the key
 * @throws the error itself where it is a mistake of this program */
export const keyVaultFailureOf = (error: unknown, key: string, during: 'get' | 'wrap' | 'unwrap'): WrapperFailure => {
  const { statusCode } = error as { statusCode?: unknown }
  if (typeof statusCode !== 'number') return withoutAnswer(error, key)
  if (statusCode === 429) return { kind: 'throttled', key, retryAfterSeconds: retryAfterSecondsOf(error) }
  if (statusCode === 408 || statusCode >= 500) return { kind: 'unreachable', key }
  if (statusCode === 404 || statusCode === 410) return { kind: 'key-missing', key }
  if (statusCode === 403) return { kind: kindOfForbidden(innerCodeOf(error)), key }
  if (statusCode === 400) return { kind: during === 'unwrap' ? 'bad-wrapping' : 'key-unsuitable', key }
  return { kind: 'refused', key }
}

/** Seconds that the service asks to wait; null where it does not say. */
const retryAfterSecondsOf = (error: unknown): number | null => {
  const { response } = error as { response?: { headers?: { get?: (name: string) => string | undefined } } }
  const text = response?.headers?.get?.('retry-after')
  const seconds = text === undefined ? Number.NaN : Number(text)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null
}

/** Key Vault answers 403 for the state of a key as well as for missing permission; the inner error tells them apart ("Azure Key Vault
 * REST API error codes"). */
const kindOfForbidden = (innerCode: string): 'refused' | 'key-disabled' | 'key-out-of-date' | 'key-unsuitable' => {
  if (innerCode === 'KeyDisabled') return 'key-disabled'
  if (innerCode === 'KeyExpired' || innerCode === 'KeyNotYetValid') return 'key-out-of-date'
  return innerCode === 'KeyOperationForbidden' ? 'key-unsuitable' : 'refused'
}

const innerCodeOf = (error: unknown): string => {
  const { details } = error as { details?: { error?: { innerError?: { code?: unknown } } } }
  const code = details?.error?.innerError?.code
  return typeof code === 'string' ? code : ''
}

/** No answer came. A challenge for another domain is thrown by the SDK before any token is sent there. */
const withoutAnswer = (error: unknown, key: string): WrapperFailure => {
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError) throw error
  const isForeign = error instanceof Error && /^The challenge /.test(error.message)
  return { kind: isForeign ? 'refused' : 'unreachable', key }
}
