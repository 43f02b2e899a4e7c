import type { StorageFault } from '../ports/blob-store.ts'

/** HTTP status of the service's answer; null where no answer came. */
export const storageStatusOf = (error: unknown): number | null => {
  const status = (error as { statusCode?: unknown } | null)?.statusCode
  return typeof status === 'number' ? status : null
}

/** The service's error code (`BlobNotFound`, `ContainerNotFound`, …), also of answers without a body; '' where there is none. */
export const storageCodeOf = (error: unknown): string => {
  const { code, details } = (error ?? {}) as { code?: unknown; details?: { errorCode?: unknown } }
  const found = details?.errorCode ?? code
  return typeof found === 'string' ? found.replace(/[^A-Za-z0-9_-]/g, '').slice(0, 60) : ''
}

/** What a failed storage request means for its caller. Never carries the service's text, which may repeat the request. */
export const storageFaultOf = (name: string, error: unknown): StorageFault => {
  const status = storageStatusOf(error)
  if (status === null) return isCredentialFailure(error) ? { code: 'forbidden', name } : { code: 'unreachable', name }
  if (status === 429 || status === 503) return { code: 'throttled', name, retryAfterSeconds: retryAfterOf(error) }
  if (status === 408 || status >= 500) return { code: 'unreachable', name }
  if (status === 401 || status === 403) return { code: 'forbidden', name }
  return { code: 'rejected', name, status, serviceCode: storageCodeOf(error) || 'Unknown' }
}

/** @azure/identity: CredentialUnavailableError, AuthenticationError and the like; their texts name hosts and are left out. */
const isCredentialFailure = (error: unknown): boolean =>
  error instanceof Error &&
  /^(CredentialUnavailable|Authentication|AggregateAuthentication|AuthenticationRequired)/.test(error.name)

const retryAfterOf = (error: unknown): number | null => {
  const headers = (error as { response?: { headers?: { get?: (name: string) => string | undefined } } }).response
    ?.headers
  const seconds = Number(headers?.get?.('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null
}
