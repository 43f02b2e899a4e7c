import { ArmError } from './arm-error.ts'

/** A failed request or operation in the service's own words, cut and without URLs. */
export interface ArmFailure {
  /** Null where the failure was reported by a long-running operation. */
  readonly status: number | null
  readonly code: string
  readonly message: string
  readonly retryAfterSeconds: number | null
}

/** Reads any error that the SDK throws.
 * @throws ArmError for what never reached the service or is the service's own fault */
export const failureOf = (error: unknown): ArmFailure => {
  const { statusCode, code, message, name } = error as {
    statusCode?: unknown
    code?: unknown
    message?: unknown
    name?: unknown
  }
  if (typeof statusCode === 'number') {
    const retryAfterSeconds = retryAfterOf(error)
    // A token that the service does not take any more: the next try brings a new one.
    if (statusCode === 401 && code !== 'InvalidAuthenticationTokenTenant') throw new ArmError({ code: 'no-token' })
    const failure = { status: statusCode, code: plainCode(code), message: plainMessage(message), retryAfterSeconds }
    if (statusCode !== 503 && statusCode < 500 && statusCode !== 408) return failure
    if (statusCode === 503 && retryAfterSeconds !== null) return failure
    throw new ArmError({ code: 'server-fault', status: statusCode, serviceCode: failure.code })
  }
  const operation = /^The long-running operation has failed(?:\. ([\w-]+)\. ([\s\S]*))?$/.exec(String(message))
  if (operation)
    return { status: null, code: plainCode(operation[1]), message: plainMessage(operation[2]), retryAfterSeconds: null }
  // A mistake of ours must not look like a network that is down.
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError) throw error
  if (/Credential|Authentication/.test(String(name))) throw new ArmError({ code: 'no-token' })
  throw new ArmError({ code: 'unreachable', detail: plainCode(code ?? name) })
}

const plainCode = (code: unknown): string =>
  typeof code === 'string' && /^[\w.-]{1,80}$/.test(code) ? code : 'Unknown'

/** The platform's words, on one line, cut, and without anything that looks like a URL or a signature. */
export const plainMessage = (message: unknown): string =>
  String(message ?? '')
    .replace(/https?:\/\/\S+/gi, '<url>')
    .replace(/\b(sig|se|sv|sp|access_token)=[^\s&]+/gi, '$1=<hidden>')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 400)

const retryAfterOf = (error: unknown): number | null => {
  const { response } = error as { response?: { headers?: { get?: (name: string) => string | undefined } } }
  const text = response?.headers?.get?.('retry-after')
  if (text === undefined) return null
  const seconds = /^\d+$/.test(text.trim()) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null
}
