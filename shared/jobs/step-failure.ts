import { type Failed, failed } from '../domain/job-ref.ts'
import { VaultError } from '../format/vault-error.ts'
import { StorageError } from '../ports/blob-store.ts'
import { WrappingKeyError } from '../ports/key-wrapper.ts'

/** Faults that another try cannot cure, as the outcome of the step; null for all others, which the retry policy repeats. */
export const stepFailure = (error: unknown): Failed | null => {
  if (error instanceof VaultError) return failed(`vault-${error.fault.code}`, error.message, error.hint)
  if (error instanceof WrappingKeyError) return failed(`wrapping-key-${error.obstacle}`, error.message, error.hint)
  if (error instanceof StorageError && !error.isRetryable)
    return failed(`storage-${error.fault.code}`, error.message, 'Cure the cause, then start the job again.')
  return null
}

/** Error text that may be stored and shown, with the name of the error: no signature or key of a URL, and not longer than a few lines. */
export const safeMessage = (error: unknown): string =>
  safeText(error instanceof Error ? `${error.name}: ${error.message}` : String(error))

/** The same of an error whose words are this program's own and need no name before them. */
export const safeText = (text: string): string =>
  text
    .replace(/\b(sig|code|AccountKey|SharedAccessSignature)=[^\s&;"']+/gi, '$1=(hidden)')
    .replace(/\bBearer\s+\S+/gi, 'Bearer (hidden)')
    .slice(0, 400)
